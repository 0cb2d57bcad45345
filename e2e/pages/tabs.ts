import type { Browser, BrowserContext, LaunchOptions, Page } from 'playwright-core'
import { launchChromium } from '../browser.ts'
import { servePages } from './serve.ts'

/** A browser whose tabs show the page for tests. */
export interface Tabs {
  readonly browser: Browser
  /** The tabs of one context share their storage; those of two share nothing. */
  newContext(): Promise<BrowserContext>
  open(context: BrowserContext): Promise<Page>
  /** Errors that a page threw and nobody caught. */
  readonly errors: string[]
  close(): Promise<void>
}

/** Starts a browser, and serves the pages to it. */
export async function startTabs(options?: LaunchOptions): Promise<Tabs> {
  const [site, browser] = await Promise.all([servePages(), launchChromium(options)])
  const errors: string[] = []
  return {
    browser,
    errors,
    newContext: () => browser.newContext(),
    async open(context) {
      const page = await context.newPage()
      page.on('pageerror', (error) => errors.push(String(error)))
      await page.goto(site.url)
      await page.waitForFunction(() => 'storelock' in globalThis)
      return page
    },
    async close() {
      await browser.close()
      await site.close()
    },
  }
}
