import type { Tab } from '../engines/engine.ts'
import type { Served } from '../engines/index.ts'
import { makeTab, type TabStart } from './tab.ts'

/**
 * Opens tabs, one after another, that share the lock `l` and are called `tab 1` and so on.
 * @param prepare runs in each page before its locks are made
 */
export async function openTabs(engine: Served, count: number, start: TabStart, prepare = (): void => {}): Promise<Tab[]> {
  const pages: Tab[] = []
  for (let index = 1; index <= count; index++) {
    const page = await engine.open(engine.page)
    await page.evaluate(prepare)
    await page.evaluate(makeTab, { name: `tab ${index}`, ...start })
    pages.push(page)
  }
  return pages
}

export const acquire = (page: Tab) => page.evaluate(() => tab.acquire('l'))
export const release = (page: Tab) => page.evaluate(() => tab.release())
export const stateOf = (page: Tab) => page.evaluate(() => tab.state())
export const query = (page: Tab) => page.evaluate(() => tab.query('l'))
/** Resolves with the reason when the signal of the tab's lock has aborted. */
export const aborted = (page: Tab) => page.evaluate(() => tab.told('aborted'))

/** Resolves when a page sees `count` waiters in the queue of the lock. */
export const queued = (count: number, page: Tab): Promise<void> =>
  page.evaluate(async (count) => {
    while ((await tab.query('l')).pending.length !== count);
  }, count)

// As JSON carries them, without properties that are undefined.
export const healthy = { held: true, aborted: false }
export const lost = { held: false, aborted: true, thrown: 'lost', reason: 'lost' }
