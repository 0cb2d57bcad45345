import { describe, expect, test } from 'vitest'
import { describeEachEngine, eachAfresh, needs } from './engines/each.ts'
import type { Tab } from './engines/engine.ts'
import { acquire, openTabs } from './tabs/tabs.ts'
import { type Upkeep, useForHours } from './tabs/upkeep.ts'

/** The number of rows in one of our object stores. */
const rowsIn = (page: Tab, table: string): Promise<number> =>
  page.evaluate(async (table) => {
    const db = await storelock.openDB('locks')
    const count = await db.count(table)
    db.close()
    return count
  }, table)

describeEachEngine((engine, name) => {
  eachAfresh(engine)

  describe('ended sessions and locks leave nothing in IndexedDB', () => {
    test('after several tabs crashed, one more tab that takes a lock leaves one row at most', async ({ skip }) => {
      needs('crash', engine(), skip)
      // The lease outlasts the test, so only proofs of death can clear these rows.
      const start = { duration: 600_000, maxBackoff: 100 }
      const pages = await openTabs(engine(), 6, start)
      await Promise.all(pages.map((page, index) => page.evaluate((name) => tab.acquire(name), `lock ${index}`)))
      for (const page of pages) await page.crash()
      const [last] = (await openTabs(engine(), 1, start)) as [Tab]
      await acquire(last)
      await expect.poll(() => rowsIn(last, 'storelock-sessions'), { timeout: 15_000 }).toBe(1)
    })

    test('a sweep leaves no fence row, and tokens keep rising across it', async () => {
      const page = await engine().open(engine().page)
      const [before, after] = await page.evaluate(async () => {
        const locks = storelock.createLocks({ store: storelock.indexedDBStore('locks') })
        const tokens: number[] = []
        for (let index = 0; index < 40; index++) {
          const lock = await locks.acquire(`name ${index}`)
          tokens.push(lock.token)
          await lock.release()
        }
        await locks.sweep()
        const again = await locks.acquire('name 0')
        return [Math.max(...tokens), again.token]
      })
      expect(after).toBeGreaterThan(before as number)
      expect([await rowsIn(page, 'storelock-records'), await rowsIn(page, 'storelock-fence')]).toEqual([1, 1])
    })

    // The other engines do not report the size of the heap.
    test.runIf(name === 'chromium')('a page that never reloads uses no more memory after 24 hours than after six', { timeout: 120_000 }, async () => {
      const page = await engine().open(engine().page)
      const hours = await useForHours(page, 24, 4_800)
      const [early, late] = [hours[5], hours[23]] as [Upkeep, Upkeep]
      if (process.env.FIGURES) console.log(early, late)
      expect({ ...late, heap: 0, database: 0 }).toEqual({ ...early, heap: 0, database: 0 })
      expect(late.heap - early.heap).toBeLessThan(2 ** 20)
      // The engine compacts its files now and then. Until then they also contain older writes.
      expect(late.database).toBeLessThan(5 * 2 ** 20)
    })
  })
})
