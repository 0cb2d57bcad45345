import { type AcquireOptions, createLocks, type Guard, type HeldLock, type Locks } from 'storelock'
import { describe, expect, test } from 'vitest'
import { want } from '../../src/frameworks/want.ts'
import { endings, places, stores } from './places.ts'
import { settle } from './world.ts'

// Every way to request a lock, with every option, on every store: whether a free or a held lock is granted, waited for or refused is the same
// everywhere.

type Options = AcquireOptions & { ifAvailable?: boolean }
type Held = HeldLock | Guard
/** Requests a lock; `null` if it is not available. */
type Way = (locks: Locks, options: Options) => Promise<Held | null>

const ways = {
  request: (locks, options) =>
    new Promise((granted, failed) => {
      const hold = (lock: HeldLock | null): Promise<void> | undefined => {
        granted(lock)
        return lock ? new Promise((done) => lock.signal.addEventListener('abort', () => done())) : undefined
      }
      // How the call ends after the grant does not matter here.
      locks.request('k', options, hold).catch(failed)
    }),
  acquire: (locks, options) => locks.acquire('k', options),
  tryAcquire: (locks, options) => locks.tryAcquire('k', options),
  'reentrant.acquire': (locks, options) => locks.reentrant('k').acquire(options),
  'reentrant.tryAcquire': (locks, options) => locks.reentrant('k').tryAcquire(options),
  useLock: (locks, options) =>
    new Promise((granted, failed) => {
      const wanted = want(locks, 'k', options)
      endings.push(
        wanted.subscribe(() => {
          const { state, lock, error } = wanted.state()
          if (state === 'held') granted(lock)
          if (error) failed(error)
        }),
      )
    }),
} satisfies Record<string, Way>

type WayName = keyof typeof ways

const waiting: WayName[] = ['request', 'acquire', 'reentrant.acquire', 'useLock']
const trying: WayName[] = ['tryAcquire', 'reentrant.tryAcquire']
const handles: WayName[] = ['acquire', 'tryAcquire', 'useLock']

const aborted = (): AbortSignal => AbortSignal.abort('called off')

interface Case {
  readonly title: string
  readonly options: () => Options
  readonly by: readonly WayName[]
  /** The results if the lock is free, and if another session holds it: 'granted', 'waits', 'null', an error's code, or a reason. */
  readonly free: string
  readonly held: string | ((way: WayName) => string)
}

const waits = (way: WayName): string => (trying.includes(way) ? 'null' : 'waits')

const cases: Case[] = [
  { title: 'nothing', options: () => ({}), by: [...waiting, ...trying], free: 'granted', held: waits },
  {
    title: 'timeout: 0',
    options: () => ({ timeout: 0 }),
    by: [...waiting, ...trying],
    free: 'granted',
    held: (way) => (trying.includes(way) ? 'null' : 'held'),
  },
  { title: 'timeout: 20', options: () => ({ timeout: 20 }), by: waiting, free: '', held: 'timeout' },
  { title: 'timeout: 60,000', options: () => ({ timeout: 60_000 }), by: [...waiting, ...trying], free: 'granted', held: waits },
  { title: 'ifAvailable', options: () => ({ ifAvailable: true }), by: ['request'], free: 'granted', held: 'null' },
  {
    title: 'a signal that has aborted',
    options: () => ({ signal: aborted() }),
    by: ['request', 'acquire', 'reentrant.acquire'],
    free: 'called off',
    held: 'called off',
  },
  {
    title: 'a signal that does not abort',
    options: () => ({ signal: new AbortController().signal }),
    by: ['request', 'acquire', 'reentrant.acquire'],
    free: 'granted',
    held: 'waits',
  },
  { title: "mode: 'shared'", options: () => ({ mode: 'shared' }), by: ['request', ...handles], free: 'granted', held: waits },
  { title: 'steal', options: () => ({ steal: true }), by: ['request', ...handles], free: 'granted', held: 'granted' },
  { title: 'ask', options: () => ({ ask: 'please' }), by: ['request', 'acquire', 'useLock'], free: 'granted', held: 'waits' },
  { title: 'a duration of its own', options: () => ({ duration: 60_000 }), by: handles, free: 'granted', held: waits },
  { title: "renew: 'manual'", options: () => ({ renew: 'manual' }), by: handles, free: 'granted', held: waits },
  { title: 'maxHold', options: () => ({ maxHold: 60_000 }), by: ['request', ...handles], free: 'granted', held: waits },
  { title: 'ifNoQueue', options: () => ({ ifNoQueue: true }), by: ['request', 'acquire', 'useLock'], free: 'granted', held: 'waits' },
  { title: 'limit: 1', options: () => ({ limit: 1 }), by: ['request', ...handles], free: 'granted', held: waits },
  { title: 'limit: 2', options: () => ({ limit: 2 }), by: ['request', ...handles], free: 'granted', held: 'invalid' },
  { title: 'limit: 2 and ifAvailable', options: () => ({ limit: 2, ifAvailable: true }), by: ['request'], free: 'granted', held: 'invalid' },
  { title: 'metadata', options: () => ({ metadata: { at: 1 } }), by: handles, free: 'granted', held: waits },
  { title: 'onReleaseRequested', options: () => ({ onReleaseRequested() {} }), by: ['request', ...handles], free: 'granted', held: waits },
]

const rows = cases.flatMap(({ title, options, by, free, held }) =>
  by.flatMap((way) => [
    ...(free ? [{ way, title, options, lock: 'free', outcome: free }] : []),
    { way, title, options, lock: 'held by another', outcome: typeof held === 'string' ? held : held(way) },
  ]),
)

const queued: WayName[] = ['request', 'acquire', 'useLock']
const limited: WayName[] = ['request', ...handles]

for (const [store, open] of Object.entries(stores)) {
  describe.each(Object.keys(places))(`on ${store}, from %s,`, (place) => {
    test.each(rows)('$way with $title, of a lock that is $lock: $outcome', async ({ way, options, lock, outcome }) => {
      const shared = await open()
      endings.push(() => shared.close())
      const [own, other] = [createLocks({ store: shared, maxBackoff: 20, onWarning() {} }), createLocks({ store: shared, onWarning() {} })]
      endings.push(() => Promise.all([own.close(), other.close()]))
      const locks = places[place]?.(own) as Locks
      const before = lock === 'free' ? undefined : await other.acquire('k')
      const asked = ways[way](locks, options()).then(
        (held: Held | null) => ({ held, outcome: held ? 'granted' : 'null' }),
        (error) => ({ held: null, outcome: typeof error === 'string' ? error : error.code }),
      )
      if (outcome === 'waits') {
        while (!(await other.query('k')).pending.length) await settle()
        await before?.release()
      }
      const { held, ...is } = await asked
      expect(is).toEqual({ outcome: outcome === 'waits' ? 'granted' : outcome })
      await held?.release()
      await before?.release()
    })

    test.each(limited)('%s with a limit of 2 gets the lock beside one other holder with that limit, and not beside two', async (way) => {
      const shared = await open()
      endings.push(() => shared.close())
      const [own, other] = [createLocks({ store: shared, maxBackoff: 20, onWarning() {} }), createLocks({ store: shared, onWarning() {} })]
      endings.push(() => Promise.all([own.close(), other.close()]))
      const locks = places[place]?.(own) as Locks
      const first = await other.acquire('k', { limit: 2 })
      const held = await ways[way](locks, { limit: 2 })
      expect([held?.isHeld(), first.isHeld(), (held?.token ?? 0) > first.token]).toEqual([true, true, true])
      const next = ways[way](locks, { limit: 2 })
      if (way === 'tryAcquire') expect(await next).toBeNull()
      else {
        while (!(await other.query('k')).pending.length) await settle()
        expect((await other.query('k')).held.map(({ limit }) => limit)).toEqual([2, 2])
        await first.release()
        await (await next)?.release()
      }
      await held?.release()
      await first.release()
    })

    test.each(queued)('%s with ifNoQueue is refused if another session waits for the lock', async (way) => {
      const shared = await open()
      endings.push(() => shared.close())
      const [own, holder, waiter] = [
        createLocks({ store: shared, onWarning() {} }),
        createLocks({ store: shared, onWarning() {} }),
        createLocks({ store: shared, onWarning() {} }),
      ]
      endings.push(() => Promise.all([own.close(), holder.close(), waiter.close()]))
      const held = await holder.acquire('k')
      const next = waiter.acquire('k')
      while (!(await waiter.query('k')).pending.length) await settle()
      const asked = ways[way](places[place]?.(own) as Locks, { ifNoQueue: true })
      expect(await asked.catch(({ code }) => code)).toBe(way === 'request' ? null : 'held')
      await held.release()
      await (await next).release()
    })
  })
}
