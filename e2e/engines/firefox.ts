import { type BrowserContext, launch, type Page } from 'puppeteer-core'
import { findBrowser } from '../browser.ts'
import { endProcess } from './end-process.ts'
import { type Denied, type Driver, type Engine, insecureHost, type Need, tabOn } from './engine.ts'
import { leashed } from './leash.ts'

const cannot = {
  quota: 'its driver cannot limit the quota',
  cache: 'it keeps no page with Web Locks in the back/forward cache',
  goodbye: 'it may lose what a page sends while its tab is closed',
} as const satisfies Partial<Record<Need, string>>

const cookieBehavior: Record<Denied, number> = { foreign: 1, all: 2 }

/** Firefox, driven by Puppeteer over WebDriver BiDi. */
export async function startFirefox(): Promise<Engine> {
  const [executablePath, ...args] = leashed(await findBrowser('firefox'), '--headless', '--remote-allow-system-access', 'about:blank')
  const browser = await launch({
    browser: 'firefox',
    executablePath,
    // The arguments begin with those of the leash. Puppeteer's own would come before them.
    ignoreDefaultArgs: true,
    args,
    // Enough processes for each tab to have its own, so that one tab can be killed alone.
    extraPrefsFirefox: { 'dom.ipc.processCount': 64, 'network.dns.localDomains': insecureHost },
    // The crash helper would outlive a killed Firefox.
    env: { ...process.env, MOZ_CRASHREPORTER_DISABLE: '1' },
  })
  const { connection } = browser as unknown as BidiBrowser
  const setDenied = (how: string) => ask(connection, `Services.prefs.${how}; 0`)
  const errors: string[] = []
  let context: Promise<BrowserContext> | undefined
  return {
    name: 'firefox',
    version: (await browser.version()).replace(/^.*\//, ''),
    cannot,
    errors,
    async open(url) {
      context ??= browser.createBrowserContext()
      // Of several tabs in one window, only one is visible.
      const page = await (await context).newPage({ type: 'window' })
      page.on('pageerror', (error) => {
        // Firefox also reports blocked requests this way, although the page gets the error and can catch it.
        if (!String(error).includes('Cross-Origin Request Blocked')) errors.push(String(error))
      })
      const tab = tabOn(driverOf(connection, page))
      await tab.navigate(url)
      return tab
    },
    keepLeftPages: async () => {},
    async deny(denied) {
      await setDenied(`setIntPref('network.cookie.cookieBehavior', ${cookieBehavior[denied]})`)
    },
    async reset() {
      const old = context
      context = undefined
      await (await old)?.close()
      await setDenied("clearUserPref('network.cookie.cookieBehavior')")
    },
    close: () => browser.close(),
  }
}

/**
 * Navigates by Firefox's own commands, which resolve once the page is there. Puppeteer waits for load events, which do not come when a
 * page is shown from the back/forward cache.
 */
function driverOf(connection: Connection, page: Page): Driver {
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
    crash: async () => endProcess(await processOf(connection, context)),
    limitQuota: () => Promise.reject(new Error(cannot.quota)),
  }
}

/** The id of the process that a page runs in. */
const processOf = (connection: Connection, page: string): Promise<number> =>
  ask(
    connection,
    `ChromeUtils.importESModule('chrome://remote/content/shared/NavigableManager.sys.mjs')
      .NavigableManager.getBrowsingContextById('${page}').currentWindowGlobal.osPid`,
  )

/** Evaluates an expression in Firefox's own scope. @returns its value, a number */
async function ask(connection: Connection, expression: string): Promise<number> {
  const { result: tree } = await connection.send<Tree>('browsingContext.getTree', { 'moz:scope': 'chrome' })
  const target = { context: tree.contexts[0]?.context }
  const { result } = await connection.send<Evaluated>('script.evaluate', { expression, target, awaitPromise: false })
  const { value } = result.result ?? {}
  if (typeof value !== 'number') throw new Error(`Firefox does not answer ${expression}: ${JSON.stringify(result)}`)
  return value
}

/** Members of Puppeteer's objects for Firefox that their types leave out. */
interface BidiBrowser {
  readonly connection: Connection
}
interface Connection {
  send<Result>(method: string, params: object): Promise<{ readonly result: Result }>
}
interface BidiFrame {
  readonly _id: string
}

interface Tree {
  readonly contexts: readonly { readonly context: string }[]
}
interface Evaluated {
  readonly result?: { readonly value?: unknown }
}
