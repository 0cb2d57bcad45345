import { describe, expect, test } from 'vitest'
import { describeEachEngine, eachAfresh, needs } from './engines/each.ts'
import type { Tab } from './engines/engine.ts'

/** When a tab was inside a critical section. The tabs' clocks agree to within `skew`. */
type Section = readonly [from: number, to: number]

/** How much the clocks of two tabs may differ, in ms. */
const skew = 20

describeEachEngine((engine, name) => {
  eachAfresh(engine)

  /** Makes the locks of a page. */
  const makeLocks = (page: Tab, duration = 3_000): Promise<void> =>
    page.evaluate((duration) => {
      globalThis.warned = []
      globalThis.locks = storelock.createLocks({
        store: storelock.indexedDBStore('locks'),
        duration,
        maxBackoff: 100,
        onWarning: ({ type, error }) => warned.push(`${type}: ${error.message}`),
      })
    }, duration)

  /** Resolves when a page sees a holder of the lock. */
  const held = (page: Tab): Promise<void> =>
    page.evaluate(async () => {
      while (!(await locks.query('l')).held.length);
    })

  /** The beacon address in the row of the page's own session. */
  const addressHere = async (): Promise<string> => {
    const { beacon } =
      (await locks.request('l', async () => (await storelock.indexedDBStore('locks').read('l', locks.session))?.sessions))?.get(locks.session) ?? {}
    return beacon ?? ''
  }

  /** Takes the lock again and again, each time for a moment. */
  const sections = (page: Tab, ms: number): Promise<Section[]> =>
    page.evaluate(async (ms) => {
      const now = () => performance.timeOrigin + performance.now()
      const end = now() + ms
      const sections: [number, number][] = []
      while (now() < end)
        await locks
          .request('l', async () => {
            const from = now()
            await new Promise((resolve) => setTimeout(resolve, 50))
            sections.push([from, now()])
          })
          .catch(() => {})
      return sections
    }, ms)

  const overlaps = (one: readonly Section[], other: readonly Section[]): number =>
    one.filter(([from, to]) => other.some(([start, end]) => Math.min(to, end) - Math.max(from, start) > skew)).length

  const ready = async (page: Tab, used: boolean): Promise<void> => {
    // Apps use Web Locks too, for example to guard their tokens.
    await page.evaluate(() => navigator.locks.request('of the app', () => {}))
    if (!used) return
    await makeLocks(page)
    await page.evaluate(() => locks.request('l', () => {}))
  }

  describe('tabs from before and after their storage was cleared', () => {
    const open = () => engine().open(engine().page)
    const logOut = (page: Tab): Promise<void> => page.evaluate(async () => void (await fetch('/clear-site-data')))

    test('share one database and one channel, and in Chromium have different lock managers', async () => {
      const before = await open()
      await ready(before, false)
      await logOut(before)
      const after = await open()
      await before.evaluate(() => {
        navigator.locks.request('theirs', () => new Promise(() => {}))
        globalThis.heard = new Promise((resolve) => {
          new BroadcastChannel('both').onmessage = ({ data }) => resolve(data)
        })
      })
      const isFree = await after.evaluate(async () => {
        new BroadcastChannel('both').postMessage('from after')
        ;(await storelock.openDB('both', 7)).close()
        return navigator.locks.request('theirs', { ifAvailable: true }, (lock) => lock !== null)
      })
      expect(await before.evaluate(() => heard)).toBe('from after')
      expect(await before.evaluate(async () => (await storelock.openDB('both')).version)).toBe(7)
      expect(isFree).toBe(name === 'chromium')
    })

    test.each([
      ['had the database open', true],
      ['had used only the lock manager', false],
    ])('never consider each other dead, if the old tab %s', async (_, used) => {
      const before = await open()
      await ready(before, used)
      await logOut(before)
      if (!used) await makeLocks(before)
      const after = await open()
      await makeLocks(after)
      const [one, other] = await Promise.all([sections(before, 5_000), sections(after, 5_000)])
      expect(overlaps(one, other)).toBe(0)
      // If one tab had taken the other for dead, a tab would have missed turns while it waited for a lease.
      expect(Math.min(one.length, other.length)).toBeGreaterThan(5)
      const split = name === 'chromium'
      for (const page of [before, after]) {
        expect(await page.evaluate(() => warned)).toEqual(split ? [expect.stringContaining('degraded: no proofs of death')] : [])
        // The leading `?` marks the beacon as doubtful for every session that reads this row.
        expect(await page.evaluate(addressHere)).toMatch(split ? /^[?]storelock locks / : /^[?]?storelock locks /)
      }
    })

    test('still prove deaths among tabs with the same lock manager', async ({ skip }) => {
      needs('crash', engine(), skip)
      const before = await open()
      await ready(before, true)
      await logOut(before)
      const [holder, waiter] = [await open(), await open()]
      for (const page of [before, holder, waiter]) await makeLocks(page, 60_000)
      await before.evaluate(() => locks.request('l', () => {}))
      await holder.evaluate(() => void locks.request('l', () => new Promise(() => {})))
      await held(waiter)
      const next = waiter.evaluate(() => locks.request('l', () => performance.timeOrigin + performance.now()))
      await waiter.evaluate(async () => {
        while (!(await locks.query('l')).pending.length);
      })
      await holder.crash()
      const crashed = performance.timeOrigin + performance.now()
      expect((await next) - crashed).toBeLessThan(10_000)
    })
  })

  test('a tab that crashed while no other used the locks is replaced by the next tab that does', async ({ skip }) => {
    needs('crash', engine(), skip)
    const alone = await engine().open(engine().page)
    const keeper = await engine().open(engine().page)
    await makeLocks(alone, 60_000)
    await alone.evaluate(() => void locks.request('l', () => new Promise(() => {})))
    await held(alone)
    await alone.crash()
    await makeLocks(keeper, 60_000)
    expect(await keeper.evaluate(() => locks.request('l', { ifAvailable: true }, (lock) => lock !== null))).toBe(true)
    expect(await keeper.evaluate(() => warned)).toEqual([])
  })
})

declare global {
  var locks: ReturnType<typeof storelock.createLocks>
  var warned: string[]
  var heard: Promise<unknown>
}
