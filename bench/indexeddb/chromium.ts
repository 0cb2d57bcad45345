import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BrowserContext, chromium } from 'playwright-core'
import { launchOptions } from '../../e2e/browser.ts'

/** Loopback counts as a secure context, which IndexedDB's durability and Web Locks ask for. Nothing is sent there. */
export const origin = 'http://bench.localhost/'

/** An empty page that is isolated from other origins, and so has clocks of 5 µs instead of 100. */
const page = {
  contentType: 'text/html',
  body: '<!doctype html><title>bench</title>',
  headers: { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' },
}

/** A Chromium with an empty page at {@link origin}. It has a profile on disk, as people have one; a throw-away context keeps its databases in memory. */
export async function inChromium<T>(use: (context: BrowserContext) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'storelock-bench-'))
  const remove = (): void => rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  try {
    // When this process is told to end, it first kills the browser; only then can the folder go.
    const ownSignals = { handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false }
    const context = await chromium.launchPersistentContext(folder, { ...(await launchOptions()), ...ownSignals })
    process.once('exit', remove)
    try {
      await context.route(`${origin}**`, (route) => route.fulfill(page))
      return await use(context)
    } finally {
      await context.close()
    }
  } finally {
    process.off('exit', remove)
    remove()
  }
}
