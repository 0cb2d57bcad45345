import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/locks/clock.ts'
import { createLocks } from '../../src/locks/create.ts'
import type { HeldLock, Locks } from '../../src/locks/types.ts'
import type { FencedStore } from '../../src/store.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'

/** Ends a loop that lets nothing else run, in ms. */
const bound = 4_000
const duration = 2_000

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

const stores: Record<string, () => FencedStore<never>> = {
  memory: () => memoryStore() as FencedStore<unknown> as FencedStore<never>,
  SQLite() {
    const folder = mkdtempSync(join(tmpdir(), 'storelock-'))
    cleanUps.push(() => rmSync(folder, { recursive: true }))
    return sqliteStore(join(folder, 'locks.db')) as FencedStore<unknown> as FencedStore<never>
  },
}

interface Tools {
  readonly locks: Locks
  readonly store: FencedStore<never>
  /** A lock that is held all the time. */
  readonly lock: HeldLock
}

/** The calls of the loops, each of which is awaited. */
const loops: Record<string, (tools: Tools) => Promise<unknown>> = {
  'fenced writes': ({ store, lock }) => store.transaction(lock, () => {}),
  'requests for another lock': ({ locks }) => locks.request('other', () => {}),
  'acquisitions and releases of another lock': async ({ locks }) => (await locks.acquire('other')).release(),
  'tries for the lock that is held': ({ locks }) => locks.tryAcquire('held'),
  queries: ({ locks }) => locks.query(),
  'renewals by hand': ({ lock }) => lock.renew(),
  'shares of a re-entrant lock': async ({ locks }) => (await locks.reentrant('shared').acquire()).release(),
  'tries for a share of a re-entrant lock': async ({ locks }) => (await locks.reentrant('shared').tryAcquire())?.release(),
}

describe.each(Object.keys(stores))('on %s a loop of awaited', (kind) => {
  const open = (linger: number): Tools & { readonly beats: () => number } => {
    const store = (stores[kind] as () => FencedStore<never>)()
    let beats = 0
    const counting: FencedStore<never> = {
      ...store,
      apply(commands) {
        beats += commands.filter(({ type }) => type === 'beat').length
        return store.apply(commands)
      },
    }
    const locks = createLocks({ store: counting, duration, linger })
    cleanUps.push(() => store.close())
    cleanUps.push(() => locks.close())
    return { locks, store, beats: () => beats, lock: undefined as never }
  }

  test.each(Object.keys(loops))('%s lets heartbeats and timers run', async (calls) => {
    for (const linger of [0, duration]) {
      const { beats, ...tools } = open(linger)
      const { locks } = tools
      const lock = await locks.acquire('held')
      const share = await locks.reentrant('shared').acquire()
      const before = beats()
      let ticks = 0
      const timer = setInterval(() => ticks++, 10)
      const end = performance.now() + bound
      while ((beats() === before || !ticks) && performance.now() < end) await loops[calls]?.({ ...tools, lock })
      clearInterval(timer)
      expect({ beaten: beats() > before, ticked: ticks > 0, held: lock.isHeld(), shared: share.isHeld() }).toEqual({
        beaten: true,
        ticked: true,
        held: true,
        shared: true,
      })
    }
  })
})

test.each([0, duration])(
  'a request is sent before a later request of another context, even if it has to let the event loop turn (linger %d)',
  async (linger) => {
    const store = memoryStore()
    /** The turn that calls here have to wait for, if any. */
    let turning: Promise<void> | undefined
    const here = createLocks({ store, linger, clock: { ...systemClock, turn: () => turning } })
    const there = createLocks({ store })
    cleanUps.push(() => Promise.all([here.close(), there.close()]))
    const order: string[] = []
    const take = async (locks: Locks, name: string): Promise<void> => {
      const lock = await locks.acquire('k')
      order.push(name)
      await lock.release()
    }
    for (const locks of [here, there]) await take(locks, 'opened')
    const holder = await there.acquire('k')
    turning = new Promise((resolve) => setImmediate(resolve))
    const taken = [take(here, 'first'), take(there, 'second')]
    await turning
    turning = undefined
    await there.query()
    await holder.release()
    await Promise.all(taken)
    expect(order.slice(2)).toEqual(['first', 'second'])
  },
)
