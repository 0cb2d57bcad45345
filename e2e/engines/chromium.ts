import type { Browser, Page } from 'playwright-core'
import { launchChromium, launchShell } from '../browser.ts'
import { type Denied, type Driver, type Engine, insecureHost, tabOn } from './engine.ts'
import { openProfile, type Shared } from './profile.ts'

/**
 * Playwright turns off the back/forward cache and storage partitioning, the latter by `--disable-features`; of several such lists only
 * the last counts. The last two flags let tests measure a page's heap.
 */
const options = {
  ignoreDefaultArgs: ['--disable-back-forward-cache'],
  args: [
    '--disable-features=PaintHolding',
    `--host-resolver-rules=MAP ${insecureHost} 127.0.0.1`,
    '--js-flags=--expose-gc',
    '--enable-precise-memory-info',
  ],
}

const denials: Record<Denied, object> = {
  all: { default_content_setting_values: { cookies: 2 } },
  foreign: { block_third_party_cookies: true, cookie_controls_mode: 1 },
}

/** Chromium, driven by Playwright: its headless shell, and the whole browser for the tests that need more. */
export async function startChromium(): Promise<Engine> {
  const browser = await launchShell(options)
  const errors: string[] = []
  let whole: Promise<Browser> | undefined
  let context: Promise<Shared> | undefined
  return {
    name: 'chromium',
    version: browser.version(),
    cannot: {},
    errors,
    async open(url) {
      context ??= browser.newContext()
      const page = await (await context).newPage()
      page.on('pageerror', (error) => errors.push(String(error)))
      await page.goto(url)
      return tabOn(driverOf(page))
    },
    async deny(denied) {
      context = openProfile({ profile: denials[denied] })
      await context
    },
    async keepLeftPages() {
      whole ??= launchChromium(options)
      context = (await whole).newContext()
      await context
    },
    async reset() {
      const old = context
      context = undefined
      await (await old)?.close()
    },
    async close() {
      await Promise.all([browser.close(), whole?.then((browser) => browser.close())])
    },
  }
}

const driverOf = (page: Page): Driver => ({
  run: (expression) => page.evaluate(expression),
  async navigate(url) {
    await page.goto(url)
  },
  async reload() {
    await page.reload()
  },
  async back() {
    // A page from the cache is not loaded again, so no load event comes.
    await page.goBack({ waitUntil: 'commit' })
    await page.waitForFunction(() => document.readyState === 'complete')
  },
  close: () => page.close(),
  async crash() {
    const crashed = page.waitForEvent('crash')
    // This never resolves: no page loads.
    page.goto('chrome://crash').catch(() => {})
    await crashed
  },
  async limitQuota(quotaSize) {
    const session = await page.context().newCDPSession(page)
    const { origin } = new URL(page.url())
    await session.send('Storage.overrideQuotaForOrigin', { origin, ...(quotaSize !== undefined && { quotaSize }) })
  },
})
