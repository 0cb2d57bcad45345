import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BrowserContext, chromium } from 'playwright-core'
import { launchOptions } from '../../e2e/browser.ts'

/** Loopback counts as a secure context, which IndexedDB's durability and Web Locks require. No request is really sent there. */
export const origin = 'http://bench.localhost/'

/** An empty page that is cross-origin isolated, so that its clock has a resolution of 5 µs instead of 100. */
const page = {
  contentType: 'text/html',
  body: '<!doctype html><title>bench</title>',
  headers: { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' },
}

/** Starts a Chromium with an empty page at {@link origin}. Its profile is on disk, as a user's is: a temporary context keeps databases in memory. */
export async function inChromium<T>(use: (context: BrowserContext) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'storelock-bench-'))
  const remove = (): void => rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  try {
    // When this process gets a signal to end, it must kill the browser before it removes the folder.
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
