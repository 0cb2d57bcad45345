import { type Browser, type BrowserContext, launch, type Page } from 'puppeteer-core'
import { findBrowser } from '../browser.ts'
import { type Driver, type Engine, tabOn } from './engine.ts'
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
      const tab = tabOn(driverOf(browser, page))
      await tab.navigate(url)
      return tab
    },
    async reset() {
      const old = context
      context = undefined
      await (await old)?.close()
    },
    close: () => browser.close(),
  }
}

/**
 * Firefox's own commands go to another page: they resolve once it is there. Puppeteer waits for events of a load, of which there are none
 * when a page is shown that had been kept.
 */
function driverOf(browser: Browser, page: Page): Driver {
  const { connection } = browser as unknown as BidiBrowser
  const context = (page.mainFrame() as unknown as BidiFrame)._id
  const go = async (how: string, params: object): Promise<void> => {
    await connection.send(`browsingContext.${how}`, { context, ...params })
  }
  return {
    run: (expression) => page.evaluate(expression) as Promise<string>,
    navigate: (url) => go('navigate', { url, wait: 'complete' }),
    reload: () => go('reload', { wait: 'complete' }),
    back: () => go('traverseHistory', { delta: -1 }),
    close: () => page.close(),
    crash: () => Promise.reject(new Error('Firefox cannot crash one tab: tabs of one site share a process. See can.crash.')),
  }
}

/** What Puppeteer's objects have in Firefox, though their types do not say so. */
interface BidiBrowser {
  readonly connection: { send(method: string, params: object): Promise<unknown> }
}
interface BidiFrame {
  readonly _id: string
}
