import { createLocks, type HeldLock, type LockError, type Locks } from 'storelock'
import { describe, expect, test } from 'vitest'
import type { Store } from '../../src/store.ts'
import { endings, places, stores } from './places.ts'

/** Long enough for a store to report the holder of a lock, in ms. */
const late = { timeout: 500 }

/** Locks in a store, closed when the test ends. */
const locksIn = (store: Store, options: object = {}): Locks => {
  const locks = createLocks({ store, maxBackoff: 20, duration: 500, ...options })
  endings.push(() => locks.close())
  return locks
}

const opened = async (store: () => Promise<Store>): Promise<Store> => {
  const shared = await store()
  endings.push(() => shared.close())
  return shared
}

/** Resolves with the reason of a lock's signal, once it has aborted. */
const endOf = ({ signal }: Pick<HeldLock, 'signal'>): Promise<LockError> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve(signal.reason)
    else signal.addEventListener('abort', () => resolve(signal.reason))
  })

/** Makes a session by commands alone, so that it belongs to no context of this process, and lets it hold the lock. */
const stranger = async (store: Store): Promise<void> => {
  await store.apply([
    { type: 'beat', session: 'stranger', client: 'stranger', lease: 60_000, opens: true },
    { type: 'request', key: 'k', session: 'stranger', client: 'stranger', number: 1, mode: 'exclusive', confirm: 500 },
  ])
}

for (const [name, open] of Object.entries(stores)) {
  describe.each(Object.keys(places))(`on ${name}, from %s,`, (place) => {
    const located = (store: Store, options?: object): Locks => places[place]?.(locksIn(store, options)) as Locks

    test('a lock that another request steals is lost with the reason stolen', async () => {
      const store = await opened(open)
      const [own, other] = [located(store), locksIn(store)]
      const lock = await own.acquire('k')
      // Also if the thief has released the lock before the loss is noticed.
      await (await other.acquire('k', { steal: true })).release()
      expect(await endOf(lock)).toMatchObject({ name: 'LockError', code: 'lost', reason: 'stolen', message: 'lost "k": it was stolen' })
      expect(() => lock.assertHeld()).toThrow(expect.objectContaining({ reason: 'stolen' }))
      await expect(lock.renew()).rejects.toMatchObject({ code: 'lost', reason: 'stolen' })
    })

    test('a revoked lock is lost with the reason revoked, also for the guards of a re-entrant lock', async () => {
      const store = await opened(open)
      const [own, other] = [located(store), locksIn(store)]
      const guard = await own.reentrant('k').acquire()
      await other.revoke('k')
      expect(await endOf(guard)).toMatchObject({ code: 'lost', reason: 'revoked', message: 'lost "k": it was revoked' })
    })

    test('the signal of a request’s lock has the reason, too', async () => {
      const store = await opened(open)
      const [own, other] = [located(store), locksIn(store)]
      let end: Promise<LockError> | undefined
      const request = own.request('k', async (lock) => {
        end = endOf(lock)
        await other.revoke('k')
        await end
      })
      await expect(request).rejects.toMatchObject({ name: 'AbortError', message: 'lost "k": it was revoked' })
      expect(await end).toMatchObject({ code: 'lost', reason: 'revoked' })
    })

    test('a lock that is not renewed is lost with the reason expired', async () => {
      const store = await opened(open)
      const lock = await located(store).acquire('k', { renew: 'manual', duration: 100 })
      expect(await endOf(lock)).toMatchObject({ code: 'lost', reason: 'expired', message: 'lost "k": it was not renewed in time' })
    })

    test('a lock whose session was ended is lost with the reason ended', async () => {
      const store = await opened(open)
      const lock = await located(store).acquire('k')
      await store.apply([{ type: 'end', session: lock.session }])
      expect(await endOf(lock)).toMatchObject({ code: 'lost', reason: 'ended' })
    })

    test('an error of contention says that this session holds the lock itself', async () => {
      const own = located(await opened(open))
      const lock = await own.acquire('k')
      const session = { heldBy: 'session', message: expect.stringContaining('you hold it yourself') }
      await expect(own.acquire('k', { timeout: 0 })).rejects.toMatchObject({ code: 'held', ...session })
      const waits = [own.acquire('k', late), own.request('k', late, () => {}), own.reentrant('k').acquire(late)]
      await Promise.all(waits.map((wait) => expect(wait).rejects.toMatchObject({ code: 'timeout', ...session })))
      expect(await own.tryAcquire('k', { timeout: 0 })).toBeNull()
      await lock.release()
    })

    test('an error of contention says that another session of this process holds the lock', async () => {
      const store = await opened(open)
      // If a worker keeps the locks, both sessions belong to the page.
      const locks = locksIn(store)
      const [own, other] = [places[place]?.(locks) as Locks, places[place]?.(place === 'a worker' ? locks : locksIn(store)) as Locks]
      const lock = await other.acquire('k')
      const process = { heldBy: 'process', message: expect.stringContaining('another session of this process holds it') }
      await expect(own.acquire('k', { timeout: 0 })).rejects.toMatchObject({ code: 'held', ...process })
      await expect(own.acquire('k', late)).rejects.toMatchObject({ code: 'timeout', ...process })
      await lock.release()
    })

    test('an error of contention says that another process holds the lock', async () => {
      const store = await opened(open)
      const own = located(store)
      await stranger(store)
      const other = { heldBy: 'other', message: expect.stringContaining('someone else holds it') }
      await expect(own.acquire('k', { timeout: 0 })).rejects.toMatchObject({ code: 'held', ...other })
      await expect(own.acquire('k', late)).rejects.toMatchObject({ code: 'timeout', ...other })
    })
  })
}

test('to the session that a worker keeps for a page, a session of another context counts as another process', async () => {
  const store = await opened(stores.memory as () => Promise<Store>)
  const page = places['a worker']?.(locksIn(store)) as Locks
  // The worker's own session stands for any other context.
  const lock = await locksIn(store).acquire('k')
  await expect(page.acquire('k', { timeout: 0 })).rejects.toMatchObject({ heldBy: 'other' })
  await lock.release()
})
