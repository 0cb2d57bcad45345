import type { Tab } from '../engines/engine.ts'
import type { Served } from '../engines/index.ts'
import { openTabs } from './tabs.ts'

/** How long each tab holds the lock, in ms: as long as a small write. */
const job = 50

/** Lets all pages request at the same moment. @returns the time until all were served, in ms */
async function atOnce(pages: readonly Tab[], turn: (page: Tab) => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await Promise.all(pages.map(turn))
  return performance.now() - start
}

/** Lets `count` tabs take one lock at once: first ours, then the browser's own. Times in ms. */
export async function tabsAtOnce(engine: Served, count: number): Promise<{ ours: number; theirs: number; failures: string[] }> {
  const pages = await openTabs(engine, count, { duration: 10_000, maxBackoff: 1_000 })
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
  const failures = news.flat().filter(({ code }) => code !== 'not-held')
  return { ours, theirs, failures: failures.map(({ type, code }) => `${type}: ${code}`) }
}
