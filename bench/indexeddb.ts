import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BrowserContext, chromium } from 'playwright-core'
import { launchOptions } from '../e2e/browser.ts'
import { bundle } from './bundle.ts'
import { compared, type Measure } from './figure.ts'

/** Loopback counts as a secure context, which IndexedDB's durability and Web Locks ask for. Nothing is sent there. */
const origin = 'http://bench.localhost/'

export const measures: Record<string, Measure> = {
  async 'indexeddb.acquireRelease'(progress) {
    const script = await bundle('bench/page/acquire-release.ts', 'browser')
    const measured = await inChromium(async (context) => {
      await context.route(`${origin}**`, (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>bench</title>' }))
      const page = await context.newPage()
      await page.goto(origin)
      await page.exposeFunction('progress', progress)
      await page.addScriptTag({ type: 'module', content: script })
      return page.evaluate(() => globalThis.acquireRelease())
    })
    const name = 'indexeddb.acquireRelease'
    return [
      compared(name, measured, 'ours', 'bare', 'two bare readwrite get + put transactions', 1.15),
      compared(name, measured, 'ours', 'committed', 'the same two with an explicit commit()'),
      compared(name, measured, 'ours', 'webLocks', 'navigator.locks.request'),
    ]
  },
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
