import type { BrowserContext, Page } from 'playwright-core'
import { launchChromium } from '../browser.ts'
import { type Driver, type Engine, tabOn } from './engine.ts'

/** Chromium, driven by Playwright. */
export async function startChromium(): Promise<Engine> {
  // Playwright turns the back/forward cache off.
  const browser = await launchChromium({ ignoreDefaultArgs: ['--disable-back-forward-cache'] })
  const errors: string[] = []
  let context: Promise<BrowserContext> | undefined
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
    async reset() {
      const old = context
      context = undefined
      await (await old)?.close()
    },
    close: () => browser.close(),
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
    // A page out of the cache is not loaded again, so there is no event of that.
    await page.goBack({ waitUntil: 'commit' })
    await page.waitForFunction(() => document.readyState === 'complete')
  },
  close: () => page.close(),
  async crash() {
    const crashed = page.waitForEvent('crash')
    // Never comes back: there is no page to load.
    page.goto('chrome://crash').catch(() => {})
    await crashed
  },
  async limitQuota(quotaSize) {
    const session = await page.context().newCDPSession(page)
    const { origin } = new URL(page.url())
    await session.send('Storage.overrideQuotaForOrigin', { origin, ...(quotaSize !== undefined && { quotaSize }) })
  },
})
