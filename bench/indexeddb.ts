import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BrowserContext, chromium, type Page } from 'playwright-core'
import { launchOptions } from '../e2e/browser.ts'
import { bundle } from './bundle.ts'
import { compared, type Measure } from './figure.ts'
import type { Progress } from './rounds.ts'

/** Loopback counts as a secure context, which IndexedDB's durability and Web Locks ask for. Nothing is sent there. */
const origin = 'http://bench.localhost/'

export const measures: Record<string, Measure> = {
  async 'indexeddb.acquireRelease'(progress) {
    const name = 'indexeddb.acquireRelease'
    const measured = await inPage(progress, (page) => page.evaluate(() => globalThis.measures.acquireRelease()))
    return [
      compared(name, measured, 'ours', 'bare', 'two bare readwrite get + put transactions', 1.15),
      compared(name, measured, 'ours', 'committed', 'the same two with an explicit commit()'),
      compared(name, measured, 'ours', 'webLocks', 'navigator.locks.request'),
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

/** Measures in a page that has the measures of `page/measures.ts`. */
async function inPage<T>(progress: Progress, measure: (page: Page) => Promise<T>): Promise<T> {
  const script = await bundle('bench/page/measures.ts', 'browser')
  return inChromium(async (context) => {
    await context.route(`${origin}**`, (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>bench</title>' }))
    const page = await context.newPage()
    await page.goto(origin)
    await page.exposeFunction('progress', progress)
    await page.addScriptTag({ type: 'module', content: script })
    await page.waitForFunction(() => 'measures' in globalThis)
    return measure(page)
  })
}

/** With a profile on disk, as people have one; a throw-away context keeps its databases in memory. */
async function inChromium<T>(use: (context: BrowserContext) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'storelock-bench-'))
  try {
    const context = await chromium.launchPersistentContext(folder, await launchOptions())
    try {
      return await use(context)
    } finally {
      await context.close()
    }
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  }
}
