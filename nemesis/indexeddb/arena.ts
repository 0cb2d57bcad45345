import { setTimeout as sleep } from 'node:timers/promises'
import { type BrowserContext, chromium, type Page } from 'playwright-core'
import { bundle } from '../../bench/bundle.ts'
import { launchOptions } from '../../e2e/browser.ts'
import { now } from '../../e2e/processes/orders.ts'
import { type Arena, duration, type Fault, maxBackoff, patience, type Setting, steps } from '../arena.ts'
import type { Line } from '../history.ts'
import { pick } from '../random.ts'
import type { Order, Point } from '../worker.ts'
import type { News, Start } from './page.ts'

const names = Array.from({ length: 6 }, (_, index) => `tab ${index + 1}`)

/** Loopback counts as a secure context, which Web Locks ask for. Nothing is sent there. */
const origin = 'http://nemesis.localhost/'

interface Tab {
  readonly page: Page
  readonly name: string
  readonly lines: Line[]
  /** Hear what it tells, and of its end. */
  readonly listeners: Set<(told: Order['type'] | 'gone') => void>
  doomed: boolean
  gone: boolean
}

/** Tabs of one profile that share an IndexedDB database. */
export async function openTabs({ folder, fenced, seed }: Setting): Promise<Arena> {
  const script = await bundle('nemesis/indexeddb/page.ts', 'browser')
  // Ctrl-C is ours: Playwright's own handler would end this process before it has cleaned up.
  const options = await launchOptions({ handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false })
  const context = await chromium.launchPersistentContext(folder, options)
  try {
    return await inhabit(context, script, fenced, seed)
  } catch (error) {
    await context.close()
    throw error
  }
}

async function inhabit(context: BrowserContext, script: string, fenced: boolean, seed: number): Promise<Arena> {
  const tabs: Tab[] = []
  const holders = new Map<string, string>()
  let finishing = false
  let fail: (error: Error) => void = () => {}
  const failed = new Promise<never>((_, reject) => {
    fail = reject
  })
  failed.catch(() => {})

  await context.exposeBinding('tellNemesis', ({ page }, news: News) => {
    const tab = tabs.find((tab) => tab.page === page)
    if (!tab) return
    if ('met' in news) return tell(tab, news.met)
    tab.lines.push({ ...news.note, at: now() })
    if (news.note.type === 'grant') holders.set(news.note.key, workerOf(tab))
  })
  await context.route(`${origin}**`, (route) =>
    route.request().url() === origin
      ? route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>nemesis</title><script type="module" src="page.js"></script>' })
      : route.fulfill({ contentType: 'text/javascript', body: script }),
  )

  const tell = (tab: Tab, told: Order['type'] | 'gone') => {
    for (const listener of [...tab.listeners]) listener(told)
  }

  async function openPage(): Promise<Page> {
    const page = await context.newPage()
    await page.goto(origin)
    await page.waitForFunction(() => 'nemesis' in globalThis)
    return page
  }

  async function start(worker: string): Promise<void> {
    const page = await openPage()
    // The run may be over by now.
    if (finishing) return
    const name = `${worker}.${tabs.length + 1}`
    const tab: Tab = { page, name, lines: [], listeners: new Set(), doomed: false, gone: false }
    tabs.push(tab)
    const leave = (why: string) => {
      tab.gone = true
      tell(tab, 'gone')
      if (finishing) return
      if (!tab.doomed) return fail(new Error(`${name} ${why} by itself`))
      page.close().catch(() => {})
      start(worker).catch((error) => finishing || fail(error))
    }
    page.once('crash', () => leave('crashed'))
    page.on('pageerror', (error) => finishing || fail(new Error(`${name}: ${error.message}`, { cause: error })))
    const order: Start = { name, fenced, duration, maxBackoff, seed: seed + tabs.length }
    await page.evaluate((order) => nemesis.start(order), order)
  }

  const onlooker = await openPage()
  for (const worker of names) await start(worker)
  const tabOf = (worker: string): Tab => tabs.findLast((tab) => workerOf(tab) === worker) as Tab
  const living = () => tabs.filter(({ gone }) => !gone)

  /** Resolves with whether it told this; with false once it is gone. */
  const told = (tab: Tab, what: Order['type'] | 'gone'): Promise<boolean> =>
    new Promise((resolve) => {
      const hear = (heard: Order['type'] | 'gone') => {
        if (heard !== what && heard !== 'gone') return
        tab.listeners.delete(hear)
        resolve(heard === what)
      }
      tab.listeners.add(hear)
      if (tab.gone) hear('gone')
    })

  const obeyed = (tab: Tab, order: Order): Promise<boolean> => {
    const heard = told(tab, order.type)
    // One that hangs or dies answers late or never.
    tab.page.evaluate((order) => nemesis.obey(order), order).catch(() => {})
    return heard
  }

  async function crash(tab: Tab): Promise<boolean> {
    tab.doomed = true
    const gone = told(tab, 'gone')
    const cdp = await context.newCDPSession(tab.page)
    cdp.send('Page.crash').catch(() => {})
    return gone
  }

  const hung = (kind: string, point: Point): Fault => ({
    kind,
    inflict: (worker, ms) => obeyed(tabOf(worker), { type: 'hang', point, ms }),
  })
  const crashed = (kind: string, point: Point): Fault => ({
    kind,
    async inflict(worker) {
      const tab = tabOf(worker)
      return (await obeyed(tab, { type: 'die', point })) && crash(tab)
    },
  })
  const faults: Fault[] = [
    {
      kind: 'stopped by the debugger',
      async inflict(worker, ms) {
        const cdp = await context.newCDPSession(tabOf(worker).page)
        await cdp.send('Debugger.enable')
        await cdp.send('Debugger.pause')
        await sleep(ms)
        await cdp.detach()
        return true
      },
    },
    hung('hung before the write', 'before the write'),
    hung('hung before the commit', 'before the commit'),
    { kind: 'crashed from outside', inflict: (worker) => crash(tabOf(worker)) },
    crashed('crashed before the commit', 'before the commit'),
    crashed('crashed after the commit', 'after the commit'),
    { kind: 'stores held up', inflict: (worker, ms) => obeyed(tabOf(worker), { type: 'occupy', ms: ms / 2 }) },
    { kind: 'clock set', inflict: (worker, _, random) => obeyed(tabOf(worker), { type: 'shift', ms: pick(random, steps) }) },
  ]

  return {
    workers: names,
    faults,
    failed,
    holder: async (key) => holders.get(key),
    written: () => onlooker.evaluate(() => nemesis.written()),
    final: () => onlooker.evaluate(() => nemesis.final()),
    async finish() {
      finishing = true
      const last = living()
      const ended = Promise.all(last.map((tab) => obeyed(tab, { type: 'finish' })))
      await Promise.race([ended, sleep(patience, undefined, { ref: false })])
      await Promise.all(last.map(({ page }) => page.close()))
    },
    notes: async () => tabs.map(({ lines }) => lines),
    async close() {
      finishing = true
      await context.close()
    },
  }
}

const workerOf = ({ name }: Tab): string => name.replace(/\.\d+$/, '')
