import type { Browser, BrowserContext, CDPSession, Page } from 'playwright-core'
import { type Report, report } from '../model/reports.ts'
import type { Cast } from './cast.ts'

export interface Tabs extends Cast {
  /** The page that shows all workers and runs some of them. */
  readonly board: Page
  readonly context: BrowserContext
  /** Shows reports of others, such as processes, on the board. */
  show(told: Report, group: string): void
  /** Makes a tab hang by stopping at a breakpoint, instead of being busy. */
  breakpoint(name: string): Promise<void>
}

const size = { width: 1280, height: 900 }

/** Opens a page with two workers, and two tabs, in one profile. All share one IndexedDB database. */
export async function startTabs(browser: Browser, url: string, hear: (report: Report) => void): Promise<Tabs> {
  const context = await browser.newContext({ viewport: size })
  const board = await context.newPage()
  await board.exposeBinding('tellDriver', (_source, told: Report) => hear(told))
  const failing = (page: Page, name: string) => page.on('pageerror', (error) => hear(report(name, { type: 'failed', message: error.message })))
  failing(board, 'the page')
  await board.goto(`${url}?workers=2&brisk&paused`)
  await board.waitForFunction(() => 'demo' in globalThis)

  const pages = new Map<string, Page>()
  for (const name of ['tab 3', 'tab 4']) {
    const page = await context.newPage()
    // This tab is not filmed, so it need not draw so often.
    await page.emulateMedia({ reducedMotion: 'reduce' })
    failing(page, name)
    await page.goto(`${url}?tab&brisk&paused`)
    await page.waitForFunction((title) => document.title.startsWith(title), name)
    pages.set(name, page)
  }
  const names = ['worker 1', 'worker 2', ...pages.keys()]
  await board.waitForFunction((count) => document.querySelectorAll('#who option').length > count, names.length)
  await board.bringToFront()

  const debuggers = new Map<string, CDPSession>()
  let told: (readonly [Report, string])[] = []
  const show = (report: Report, group: string) => {
    told.push([report, group])
    // Sends many at a time, since each call takes a moment.
    if (told.length === 1) setTimeout(flush, 100)
  }
  const flush = () => {
    const all = told
    told = []
    const heard = board.evaluate((all) => {
      for (const [report, group] of all) demo.hear(report, group)
    }, all)
    // The board may be closed by then.
    heard.catch(() => {})
  }

  return {
    title: 'tabs and workers of a browser, with one IndexedDB database',
    names,
    board,
    context,
    show,
    order: (to, what) => void board.evaluate(([to, what]) => demo.order(to, what), [to, what] as const).catch(() => {}),
    async crash(name) {
      const page = pages.get(name)
      if (!page) return
      const crashed = page.waitForEvent('crash')
      const told = report(name, { type: 'crashed', how: 'crashed' })
      // This never resolves: no page loads.
      page.goto('chrome://crash').catch(() => {})
      await crashed
      // Otherwise Playwright would try to reach the page.
      await page.close()
      hear(told)
      await board.evaluate((told) => demo.hear(told), told)
    },
    async breakpoint(name) {
      const page = pages.get(name)
      if (!page) return
      const session = await context.newCDPSession(page)
      await session.send('Debugger.enable')
      await session.send('Runtime.evaluate', { expression: 'globalThis.demoStandsStill = () => { debugger }' })
      debuggers.set(name, session)
    },
    wake: async (name) => void (await debuggers.get(name)?.send('Debugger.resume')),
    tallies: () => board.evaluate(() => demo.tallies()),
    close: () => context.close(),
  }
}
