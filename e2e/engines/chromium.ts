import type { BrowserContext, Page } from 'playwright-core'
import { launchChromium } from '../browser.ts'
import { type Driver, type Engine, tabOn } from './engine.ts'

/** Chromium, driven by Playwright. */
export async function startChromium(): Promise<Engine> {
  const browser = await launchChromium()
  const errors: string[] = []
  let context: Promise<BrowserContext> | undefined
  return {
    name: 'chromium',
    version: browser.version(),
    can: { crash: true, tellErrors: true },
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
    await page.goBack()
  },
  close: () => page.close(),
  async crash() {
    const crashed = page.waitForEvent('crash')
    // Never comes back: there is no page to load.
    page.goto('chrome://crash').catch(() => {})
    await crashed
  },
})
