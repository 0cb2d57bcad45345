import type { Page } from 'playwright-core'
import { bundle } from '../bundle.ts'
import { compared, type Measure } from '../figure.ts'
import type { Progress } from '../rounds.ts'
import { inChromium, origin } from './chromium.ts'

export const measures: Record<string, Measure> = {
  async 'indexeddb.acquireRelease'(progress) {
    const name = 'indexeddb.acquireRelease'
    const measured = await inPage(progress, (page) => page.evaluate(() => globalThis.measures.acquireRelease()))
    return [
      compared(name, measured, 'ours', 'bare', 'two bare readwrite get + put transactions', 1.1),
      compared(name, measured, 'ours', 'committed', 'the same two with an explicit commit()'),
      compared(name, measured, 'ours', 'floor', 'the floor: the same requests, for fence and session are rows too'),
      compared(name, measured, 'ours', 'webLocks', 'navigator.locks.request'),
      compared(name, measured, 'ours', 'polyfill', 'the navigator.locks polyfill'),
      compared(name, measured, 'ours', 'idbMutex', 'idb-mutex lock + unlock'),
      compared(name, measured, 'ours', 'tabsLock', 'browser-tabs-lock acquire + release'),
    ]
  },

  async 'linger.acquire, in Chromium'(progress) {
    const measured = await inPage(progress, (page) => page.evaluate(() => globalThis.measures.linger()))
    return [compared('linger.acquire', measured, 'ours', 'webLocks', 'navigator.locks.request, both in Chromium', 1 / 50)]
  },

  async 'webLocks.request'(progress) {
    const name = 'webLocks.request'
    const measured = await inPage(progress, (page) => page.evaluate(() => globalThis.measures.request()))
    return [
      compared(name, measured, 'ours', 'webLocks', 'navigator.locks.request, uncontended', 6),
      compared(`${name}, lingering`, measured, 'lingering', 'webLocks', 'navigator.locks.request, uncontended', 1 / 20),
    ]
  },

  async 'indexeddb.fencedWrite'(progress) {
    const name = 'indexeddb.fencedWrite'
    const measured = await inPage(progress, (page) => page.evaluate(() => globalThis.measures.fencedWrite()))
    return [
      compared(name, measured, 'ours', 'bare', 'the same write in a bare transaction', 1.3),
      compared(name, measured, 'ours', 'committed', 'the same with an explicit commit()'),
    ]
  },
}

/** Measures in a page that has loaded `page/measures.ts`. */
async function inPage<T>(progress: Progress, measure: (page: Page) => Promise<T>): Promise<T> {
  const script = await bundle('bench/indexeddb/page/measures.ts', 'browser')
  return inChromium(async (context) => {
    const page = await context.newPage()
    await page.goto(origin)
    await page.exposeFunction('progress', progress)
    await page.addScriptTag({ type: 'module', content: script })
    await page.waitForFunction(() => 'measures' in globalThis)
    return measure(page)
  })
}
