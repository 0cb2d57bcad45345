import { setTimeout as sleep } from 'node:timers/promises'
import { createLocks, type Locks, type Store } from 'storelock'
import { type Figure, figure, type Measure } from '../figure.ts'
import type { Progress } from '../rounds.ts'
import { during, idleOf } from './computing.ts'
import { type Kind, kinds } from './kinds.ts'

/** The number of sessions, the locks that they hold together, and how often each session beats by default, in Hz. */
const [sessions, locksOfAll, beatsPerSecond] = [10, 10_000, 1]
/** How many of these locks are acquired at once. */
const together = 500
/** The number of sessions that wait for one lock, the number of stores that they share, and how long they are watched, in ms. */
const [waiters, stores, watched] = [1_000, 10, 10_000]
/** How long each cost is measured, in ms. */
const span = 3_000

/** The CPU time that each operation costs the server. */
const serverCosts =
  (kind: Kind): Measure =>
  async (progress) => {
    const { start, open, title } = kinds[kind]
    const server = await start()
    const store = open(server.url)
    const members = Array.from({ length: sessions }, () => createLocks({ store, duration: 600_000 }))
    try {
      await holdMany(members, (done) => progress(done / 2))
      const pids = () => server.pids()
      const idle = await idleOf(pids, span)
      const [locks] = members as [Locks]
      await (await locks.acquire('job')).release()
      const taking = await during(span, pids, idle, async () => (await locks.acquire('job')).release())
      progress(0.7)
      const { session } = (await store.read(nameOf(0, 0)))?.holders[0] ?? { session: '' }
      const beating = await during(span, pids, idle, () => store.apply([{ type: 'beat', session, client: session, lease: 800_000 }]))
      progress(0.9)
      const looking = await during(span, pids, idle, () => store.read(nameOf(0, 0)))
      const ofCore = (sessions * beatsPerSecond * beating.computing) / 1_000_000
      const each = (name: string, ours: number, against: string, theirs: number, n: number): Figure =>
        figure(`${kind}.server ${name}`, 'µs', ours, against, theirs, n)
      return [
        each(
          'acquireRelease',
          taking.computing,
          `computing of ${title} for an acquire and a release, against how long they take`,
          taking.took,
          taking.count,
        ),
        each('beat', beating.computing, `computing of ${title} for a beat, against how long it takes`, beating.took, beating.count),
        each('look', looking.computing, `computing of ${title} for a look, against how long it takes`, looking.took, looking.count),
        figure(
          `${kind}.beats10000`,
          '% of a core',
          ofCore * 100,
          `the limit, for the beats of ${sessions} sessions that hold ${locksOfAll.toLocaleString('en')} locks`,
          1,
          beating.count,
          1,
        ),
      ]
    } finally {
      for (const locks of members) await locks.close()
      await store.close()
      await server.remove()
    }
  }

const nameOf = (session: number, lock: number): string => `held ${session} ${lock}`

async function holdMany(members: readonly Locks[], progress: Progress): Promise<void> {
  const each = locksOfAll / sessions
  for (const [session, locks] of members.entries()) {
    for (let from = 0; from < each; from += together) {
      await Promise.all(Array.from({ length: Math.min(together, each - from) }, (_, index) => locks.acquire(nameOf(session, from + index))))
      progress((session * each + from + together) / locksOfAll)
    }
  }
}

/** Counts the calls to a store. */
function counting(store: Store): { readonly store: Store; readonly asked: { writes: number; looks: number } } {
  const asked = { writes: 0, looks: 0 }
  return {
    asked,
    store: {
      ...store,
      apply(commands) {
        asked.writes++
        return store.apply(commands)
      },
      read(key, reader) {
        asked.looks++
        return store.read(key, reader)
      },
      ...(store.rows && {
        rows: (ids: readonly string[], key: string) => {
          asked.looks++
          return (store.rows as NonNullable<Store['rows']>)(ids, key)
        },
      }),
    },
  }
}

/** Waits until new waiters have made all writes with which they start. */
async function settled(writes: () => number): Promise<void> {
  for (let seconds = 0, last = writes(); seconds < 60; seconds++, last = writes()) {
    await sleep(1_000)
    if (writes() - last <= 2 * beatsPerSecond) return
  }
}

/** How often sessions write and look while they wait for one lock. */
const crowdCosts =
  (kind: Kind): Measure =>
  async (progress) => {
    const { start, open } = kinds[kind]
    const server = await start()
    const counted = Array.from({ length: stores }, () => counting(open(server.url)))
    const holding = createLocks({ store: counted[0]?.store as Store })
    const members: Locks[] = []
    const stop = new AbortController()
    try {
      const lock = await holding.acquire('job')
      const waits: Promise<unknown>[] = []
      for (const [index, { store }] of counted.entries()) {
        const own = Array.from({ length: waiters / stores }, () => createLocks({ store }))
        members.push(...own)
        for (const locks of own) waits.push(locks.acquire('job', { signal: stop.signal }).catch(() => {}))
        while ((await holding.query('job')).pending.length < (index + 1) * own.length) await sleep(20)
        progress((index + 1) / stores / 2)
      }
      await settled(() => counted.reduce((sum, { asked }) => sum + asked.writes, 0))
      const sum = () =>
        counted.reduce((sum, { asked }) => ({ writes: sum.writes + asked.writes, looks: sum.looks + asked.looks }), { writes: 0, looks: 0 })
      const [before, begun] = [sum(), performance.now()]
      await sleep(watched)
      const [after, seconds] = [sum(), (performance.now() - begun) / 1_000]
      progress(0.9)
      stop.abort()
      await Promise.all(waits)
      await lock.release()
      const of = (what: 'writes' | 'looks') => (after[what] - before[what]) / seconds
      const while_ = `while ${waiters.toLocaleString('en')} sessions wait for ${watched / 1_000} s`
      return [
        figure(`${kind}.waiters1000 writes`, 'writes/s', of('writes'), `the holder's beats alone, ${while_}`, beatsPerSecond, 1),
        figure(`${kind}.waiters1000 looks`, 'looks/s', of('looks'), `one for each waiter, ${while_}`, waiters, 1),
      ]
    } finally {
      stop.abort()
      await Promise.all([holding, ...members].map((locks) => locks.close()))
      for (const { store } of counted) await store.close()
      await server.remove()
    }
  }

export const measures: Record<string, Measure> = Object.fromEntries(
  (Object.keys(kinds) as Kind[]).flatMap((kind) => [
    [`${kind}.server`, serverCosts(kind)],
    [`${kind}.waiters1000`, crowdCosts(kind)],
  ]),
)
