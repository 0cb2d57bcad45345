import { type Browser, launch, type Page } from 'puppeteer-core'
import { launchOptions } from './browser.ts'
import { servePages } from './pages/serve.ts'

/** A Chromium whose tabs can be in the background as people's are. Under Playwright all tabs are visible. */
export interface Background {
  /** A visible tab with a page of ours: by default the one for tests. */
  open(file?: string): Promise<Page>
  /** Shows an empty tab instead of this one. */
  hide(page: Page): Promise<void>
  show(page: Page): Promise<void>
  /** Errors that a page threw and nobody caught. */
  readonly errors: string[]
  close(): Promise<void>
}

/** Of what Puppeteer asks of Chromium: hidden tabs are as fast as visible ones. */
const wide = ['--disable-background-timer-throttling', '--disable-backgrounding-occluded-windows', '--disable-renderer-backgrounding']

/** @param grace how long a tab is hidden until its timers fall from one a second to one a minute, in s; 300 for people */
export async function launchBackground(grace: number): Promise<Browser> {
  const { executablePath, args = [] } = await launchOptions()
  const throttling = `--enable-features=IntensiveWakeUpThrottling:grace_period_seconds/${grace}`
  return launch({ executablePath: executablePath as string, args: [...args, throttling], ignoreDefaultArgs: wide })
}

/** Starts a browser, and serves the pages for tests to it. */
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
      // A hidden tab draws no frames, which Puppeteer else waits for.
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
