import { type Browser, launch, type Page } from 'puppeteer-core'
import { launchOptions } from './browser.ts'
import { servePages } from './pages/serve.ts'

/** A Chromium whose tabs can be in the background, as they are for real users. Under Playwright all tabs are visible. */
export interface Background {
  /** Opens a visible tab with one of our pages: by default the test page. */
  open(file?: string): Promise<Page>
  /** Brings an empty tab to the front, so that this one is hidden. */
  hide(page: Page): Promise<void>
  show(page: Page): Promise<void>
  /** Uncaught errors from all pages. */
  readonly errors: string[]
  close(): Promise<void>
}

/** The default flags of Puppeteer that keep hidden tabs as fast as visible ones. */
const wide = ['--disable-background-timer-throttling', '--disable-backgrounding-occluded-windows', '--disable-renderer-backgrounding']

/** @param grace how long a tab is hidden before its timers drop from one per second to one per minute, in s; Chromium's default is 300 */
export async function launchBackground(grace: number): Promise<Browser> {
  const { executablePath, args = [] } = await launchOptions()
  const throttling = `--enable-features=IntensiveWakeUpThrottling:grace_period_seconds/${grace}`
  return launch({ executablePath: executablePath as string, args: [...args, throttling], ignoreDefaultArgs: wide })
}

/** Starts a browser and serves the test pages to it. */
export async function startBackground(grace: number): Promise<Background> {
  const [site, browser] = await Promise.all([servePages(), launchBackground(grace)])
  const errors: string[] = []
  const front = await browser.newPage()
  const turned = (page: Page, hidden: boolean) => page.waitForFunction((hidden) => document.hidden === hidden, { polling: 50 }, hidden)
  return {
    errors,
    async open(file = 'index.html') {
      const page = await browser.newPage()
      page.on('pageerror', (error) => errors.push(String(error)))
      await page.goto(new URL(file, site.url).href)
      // By default Puppeteer checks once per frame, and a hidden tab draws no frames.
      await page.waitForFunction(() => 'storelock' in globalThis, { polling: 50 })
      return page
    },
    async hide(page) {
      await front.bringToFront()
      await turned(page, true)
    },
    async show(page) {
      await page.bringToFront()
      await turned(page, false)
    },
    async close() {
      await browser.close()
      await site.close()
    },
  }
}
