import { describe, expect, test } from 'vitest'
import { describeEachEngine, eachAfresh } from './engines/each.ts'
import type { Tab } from './engines/engine.ts'
import { openTabs } from './tabs/tabs.ts'

/** What each does with the lock, in ms: as much as a small write. */
const job = 50

/** How long all take, who ask at once, in ms. */
async function atOnce(pages: readonly Tab[], turn: (page: Tab) => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await Promise.all(pages.map(turn))
  return performance.now() - start
}

describeEachEngine((engine, name) => {
  eachAfresh(engine)

  describe('tabs that ask for one lock at once', () => {
    // The other engines open tabs one by one, and so slowly that nothing of this happens at once.
    test.runIf(name === 'chromium')('are all served, sixty of them, within three times what Web Locks take', { timeout: 180_000 }, async () => {
      const pages = await openTabs(engine(), 60, { duration: 10_000, maxBackoff: 1_000 })
      const theirs = await atOnce(pages, (page) =>
        page.evaluate((job) => navigator.locks.request('l', () => new Promise((resolve) => setTimeout(resolve, job))), job),
      )
      const ours = await atOnce(pages, (page) =>
        page.evaluate(async (job) => {
          await tab.acquire('l')
          await new Promise((resolve) => setTimeout(resolve, job))
          await tab.release()
        }, job),
      )
      const news = await Promise.all(pages.map((page) => page.evaluate(() => tab.news)))
      expect(news.flat().filter(({ code }) => code !== 'not-held')).toEqual([])
      if (process.env.FIGURES) console.log(`60 tabs at once: ${Math.round(ours)} ms, by Web Locks ${Math.round(theirs)} ms`)
      expect(ours / theirs).toBeLessThan(3)
    })
  })
})
