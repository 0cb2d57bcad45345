import { type BrowserContext, launch, type Page } from 'puppeteer-core'
import { findBrowser } from '../browser.ts'
import { type Engine, evaluateBy, type Tab } from './engine.ts'
import { leashed } from './leash.ts'

/** Firefox, driven by Puppeteer over WebDriver BiDi. */
export async function startFirefox(): Promise<Engine> {
  const [executablePath, ...args] = leashed(await findBrowser('firefox'), '--headless', 'about:blank')
  const browser = await launch({
    browser: 'firefox',
    executablePath,
    // The leash's own words come first, and Puppeteer's would stand before them.
    ignoreDefaultArgs: true,
    args,
    // The helper outlives a Firefox that is killed.
    env: { ...process.env, MOZ_CRASHREPORTER_DISABLE: '1' },
  })
  const errors: string[] = []
  let context: Promise<BrowserContext> | undefined
  return {
    name: 'firefox',
    version: (await browser.version()).replace(/^.*\//, ''),
    can: { crash: false, tellErrors: true },
    errors,
    async open(url) {
      context ??= browser.createBrowserContext()
      // A tab in a window of others is hidden while another is shown.
      const page = await (await context).newPage({ type: 'window' })
      page.on('pageerror', (error) => errors.push(String(error)))
      await page.goto(url)
      return tabOf(page)
    },
    async reset() {
      const old = context
      context = undefined
      await (await old)?.close()
    },
    close: () => browser.close(),
  }
}

const tabOf = (page: Page): Tab => ({
  evaluate: evaluateBy((expression) => page.evaluate(expression) as Promise<string>),
  async navigate(url) {
    await page.goto(url)
  },
  async reload() {
    await page.reload()
  },
  async back() {
    // Firefox tells of no load when it shows a page that it had kept, so Puppeteer's own way back would wait for ever.
    await page.evaluate('globalThis.left = true, setTimeout(() => history.back()), undefined')
    while (!(await arrived(page)));
  },
  close: () => page.close(),
  crash: () => Promise.reject(new Error('Firefox cannot crash one tab: tabs of one site share a process. See can.crash.')),
})

async function arrived(page: Page): Promise<unknown> {
  try {
    return await page.evaluate(`!('left' in globalThis) && document.readyState === 'complete'`)
  } catch (error) {
    // It was between two pages.
    if (page.isClosed()) throw error
    return false
  }
}
