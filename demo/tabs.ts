import type { Browser, Page } from 'playwright-core'
import { type Half, Log } from './half.ts'
import { type Report, report } from './messages.ts'
import { openWindows } from './windows.ts'

/** Four tabs that write to one IndexedDB database: one profile, so that they share it. */
export async function startTabs(count: number, browser: Browser, url: string, windows: boolean): Promise<Half> {
  const log = new Log()
  // The size of a real window, or one for screenshots.
  const context = await browser.newContext({ viewport: windows ? null : { width: 960, height: 720 } })
  await context.exposeBinding('tellRunner', (_source, told: Report) => log.add(told))

  const names = Array.from({ length: count }, (_, index) => `tab ${index + 1}`)
  const opened = windows ? await openWindows(browser, context, count) : await Promise.all(names.map(() => context.newPage()))
  const pages = new Map(names.map((name, index) => [name, opened[index] as Page]))
  const gone = new Set<string>()
  for (const [name, page] of pages) {
    page.on('crash', () => {
      if (!gone.has(name)) log.add(report(name, { type: 'failed', message: 'crashed unbidden' }))
    })
    page.on('pageerror', (error) => log.add(report(name, { type: 'failed', message: error.message })))
  }
  await Promise.all([...pages].map(([name, page]) => page.goto(`${url}?${new URLSearchParams({ name })}`)))

  const page = (name: string) => {
    const found = pages.get(name)
    if (found === undefined) throw new Error(`no such tab: ${name}`)
    return found
  }

  return {
    title: 'tabs · IndexedDB',
    names,
    log,
    killed: 'crashed',
    stopped: 'hung: its main thread is busy',
    order(name, order) {
      // A hanging or dying tab answers late or never.
      page(name)
        .evaluate((what) => globalThis.demo.obey(what), order)
        .catch(() => {})
    },
    async kill(name) {
      gone.add(name)
      const crashed = page(name).waitForEvent('crash')
      page(name)
        .goto('chrome://crash')
        .catch(() => {})
      await crashed
    },
    wake() {},
    entries() {
      const alive = names.find((name) => !gone.has(name)) ?? ''
      return page(alive).evaluate(() => globalThis.demo.entries())
    },
    close: () => context.close(),
  }
}
