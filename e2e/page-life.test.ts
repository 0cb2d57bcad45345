import { beforeEach, describe, expect, test } from 'vitest'
import type { HeldLock, Locks, LocksOptions } from '../src/index.ts'
import { describeEachEngine, eachAfresh, needs } from './engines/each.ts'
import type { Tab } from './engines/engine.ts'
import { leave, untilKept } from './tabs/leave.ts'

// A page's locks when the user leaves it and comes back. Within a minute, only the page itself can hand them over.
const duration = 60_000

/** Requests a lock in a page, without waiting for it. */
const ask = (page: Tab, name: string): Promise<void> =>
  page.evaluate((name) => {
    globalThis.asked = locks.acquire(name)
  }, name)

const granted = (page: Tab): Promise<number> => page.evaluate(() => asked.then(({ token }) => token))

async function take(page: Tab, name: string): Promise<number> {
  await ask(page, name)
  return granted(page)
}

/** Resolves when a page sees `count` waiters for a lock. */
const queued = (count: number, page: Tab, name: string): Promise<void> =>
  page.evaluate(
    async ([count, name]) => {
      while ((await locks.query(name)).pending.length !== count);
    },
    [count, name] as const,
  )

describeEachEngine((engine) => {
  eachAfresh(engine)

  const open = async (): Promise<Tab> => {
    const page = await engine().open(engine().page)
    await page.evaluate((duration) => {
      const store = storelock.indexedDBStore('locks')
      globalThis.makeLocks = (options) => storelock.createLocks({ store, duration, maxBackoff: 100, ...options })
      globalThis.locks = makeLocks()
    }, duration)
    return page
  }

  /** Goes to another page and comes back. @returns the page's `pageshow` event, empty if the page was loaded anew */
  async function goAndComeBack(page: Tab, witness: Tab, meanwhile = async (): Promise<void> => {}): Promise<{ persisted?: boolean }> {
    await page.evaluate(() => {
      addEventListener('pageshow', ({ persisted }) => {
        globalThis.restored = { persisted }
      })
    })
    await leave(page, witness)
    await meanwhile()
    await page.back()
    return page.evaluate(() => ({ ...globalThis.restored }))
  }

  test('events that a script dispatches end no session and cancel no wait', async () => {
    const [page, holder] = [await open(), await open()]
    await take(page, 'held')
    await take(holder, 'wanted')
    await ask(page, 'wanted')
    await queued(1, holder, 'wanted')
    await page.evaluate(() => {
      for (const type of ['freeze', 'pagehide', 'visibilitychange']) {
        document.body.dispatchEvent(new CustomEvent(type, { bubbles: true }))
        dispatchEvent(new Event(type))
      }
    })
    expect((await holder.evaluate(() => locks.query())).held).toHaveLength(2)
    await holder.close()
    await granted(page)
  })

  describe('a page that is left', () => {
    beforeEach(() => engine().keepLeftPages())

    test('releases its held and lingering locks, withdraws its waits, and comes back from the back/forward cache', async ({ skip }) => {
      needs('cache', engine(), skip)
      const [page, holder, other] = await untilKept(async () => {
        const [page, holder, other] = [await open(), await open(), await open()] as const
        await take(holder, 'wanted')
        await page.evaluate(async () => {
          // The clock never fires, so the page does not poll: Chromium drops a page that is left within a transaction that blocks others.
          const clock = { now: () => Date.now(), monotonic: () => performance.now(), random: () => Math.random(), after: () => () => {} }
          globalThis.locks = makeLocks({ linger: 3_600_000, clock })
          globalThis.held = await locks.acquire('held')
          await locks.request('lingers', () => {})
          globalThis.asked = locks.acquire('wanted')
        })
        await queued(1, holder, 'wanted')
        const { persisted } = await goAndComeBack(page, holder, async () => {
          await queued(0, holder, 'wanted')
          await take(other, 'held')
          await take(other, 'lingers')
        })
        if (persisted) return [page, holder, other] as const
        await Promise.all([page.close(), holder.close(), other.close()])
        return undefined
      })
      expect(await page.evaluate(() => [held.isHeld(), held.signal.aborted])).toEqual([false, true])
      await queued(1, other, 'wanted')
      await holder.close()
      await granted(page)
    })

    test('has lost its locks by the time its page events arrive', async () => {
      const page = await open()
      await page.evaluate(async () => {
        // The session storage survives the page, which is reloaded if it was not cached.
        const look = (who: string) => () => {
          sessionStorage[who] ??= JSON.stringify([signal.aborted, held.isHeld()])
        }
        // The window calls its own listeners in order, and the lock is held until it calls ours.
        addEventListener('pageshow', look('pageshow, before'))
        document.addEventListener('visibilitychange', look('visibilitychange, before'))
        globalThis.held = await locks.acquire('k')
        const { signal } = held
        addEventListener('pagehide', look('pagehide, after'))
      })
      await goAndComeBack(page, await open())
      const lost = JSON.stringify([true, false])
      const left = { 'pagehide, after': lost, 'visibilitychange, before': lost }
      const back = engine().cannot.cache === undefined && { 'pageshow, before': lost }
      expect(await page.evaluate(() => ({ ...sessionStorage }))).toEqual({ ...left, ...back })
    })
  })
})

declare global {
  var makeLocks: (options?: Partial<LocksOptions>) => Locks
  var locks: Locks
  var asked: Promise<HeldLock>
  var held: HeldLock
  /** The page's last `pageshow` event. */
  var restored: { readonly persisted: boolean } | undefined
}
