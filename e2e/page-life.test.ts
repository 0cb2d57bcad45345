import { describe, expect, test } from 'vitest'
import type { HeldLock, Locks, LocksOptions } from '../src/index.ts'
import { describeEachEngine, eachAfresh, needs } from './engines/each.ts'
import type { Tab } from './engines/engine.ts'
import { leave, untilKept } from './tabs/leave.ts'

// What becomes of a page's locks when a person leaves it, and comes back. Nothing but the page itself hands them over before a minute has passed.
const duration = 60_000

/** Has a page ask for a lock. Does not wait for it. */
const ask = (page: Tab, name: string): Promise<void> =>
  page.evaluate((name) => {
    globalThis.asked = locks.acquire(name)
  }, name)

const granted = (page: Tab): Promise<number> => page.evaluate(() => asked.then(({ token }) => token))

async function take(page: Tab, name: string): Promise<number> {
  await ask(page, name)
  return granted(page)
}

/** Resolves when so many wait for a lock, as a page sees it. */
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

  /** Goes to another page and comes back. @returns what the page saw of that, if it is the same one */
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

  test('events that a script dispatches end no session and call no wait off', async () => {
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
    test('releases its held and lingering locks, withdraws its waits, and comes back from the back/forward cache', async ({ skip }) => {
      needs('cache', engine(), skip)
      const [page, holder, other] = await untilKept(async () => {
        const [page, holder, other] = [await open(), await open(), await open()] as const
        await take(holder, 'wanted')
        await page.evaluate(async () => {
          // It never looks by itself: Chromium drops a page that is left in the middle of a transaction for which others wait.
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

    test('has lost its locks by the time its events say so', async () => {
      const page = await open()
      await page.evaluate(async () => {
        // It survives the page, which is reloaded if it was not kept.
        const look = (who: string) => () => {
          sessionStorage[who] ??= JSON.stringify([signal.aborted, held.isHeld()])
        }
        // An event of the window itself comes to its listeners in their order: until it comes to ours, the lock is held.
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
  /** What the page was told when it was last shown. */
  var restored: { readonly persisted: boolean } | undefined
}
