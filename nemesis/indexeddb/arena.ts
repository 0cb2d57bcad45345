import { setTimeout as sleep } from 'node:timers/promises'
import { type BrowserContext, chromium, type Page } from 'playwright-core'
import { bundle } from '../../bench/bundle.ts'
import { launchOptions } from '../../e2e/browser.ts'
import { driveStorage } from '../../e2e/engines/chromium-storage.ts'
import { now } from '../../e2e/processes/orders.ts'
import { type Arena, duration, type Fault, maxBackoff, patience, type Setting, steps } from '../arena.ts'
import { keyOf, type Line } from '../history.ts'
import { pick } from '../random.ts'
import type { Order, Point } from '../worker.ts'
import { Archive } from './archive.ts'
import type { News, Start } from './page.ts'
import { openSite } from './site.ts'

const names = Array.from({ length: 6 }, (_, index) => `tab ${index + 1}`)

/** How often the log is read, in ms. */
const readEvery = 200
/** How long the page that reads it may take, in ms. A tab that hangs inside a transaction keeps it waiting. */
const longestLook = 8_000

interface Tab {
  readonly page: Page
  readonly name: string
  readonly lines: Line[]
  /** Called with the tab's messages, and when it ends. */
  readonly listeners: Set<(told: Order['type'] | 'gone') => void>
  doomed: boolean
  /** Ends the tab. Another tab takes its place. */
  end: () => void
  gone: boolean
}

/** Tabs of one profile that share an IndexedDB database. */
export async function openTabs({ folder, fenced, seed }: Setting): Promise<Arena> {
  const site = await openSite(await bundle('nemesis/indexeddb/page.ts', 'browser'))
  // Playwright's own Ctrl-C handler would end this process before it has cleaned up.
  const options = await launchOptions({ handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false })
  const context = await chromium.launchPersistentContext(folder, options)
  const close = async (): Promise<void> => {
    await context.close()
    await site.close()
  }
  try {
    return await inhabit(context, site.origin, close, fenced, seed)
  } catch (error) {
    await close()
    throw error
  }
}

async function inhabit(context: BrowserContext, origin: string, close: () => Promise<void>, fenced: boolean, seed: number): Promise<Arena> {
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
    if ('stuck' in news) {
      tab.lines.push({ type: 'trouble', error: 'a page whose IndexedDB answers nothing any more was loaded anew', at: now() })
      return renew(tab)
    }
    tab.lines.push({ ...news.note, at: now() })
    if (news.note.type === 'grant') holders.set(keyOf(news.note.key), workerOf(tab))
  })

  /** Replaces a tab by another one. */
  function renew(tab: Tab): void {
    if (tab.gone) return
    tab.doomed = true
    tab.end()
  }

  const tell = (tab: Tab, told: Order['type'] | 'gone') => {
    for (const listener of [...tab.listeners]) listener(told)
  }

  /** Opens a page in its own window, since a hidden tab gets less CPU time than a visible one. */
  async function openWindow(): Promise<Page> {
    const [page] = await Promise.all([context.waitForEvent('page'), browser.send('Target.createTarget', { url: 'about:blank', newWindow: true })])
    return page
  }

  let opening: Promise<unknown> = Promise.resolve()
  async function openPage(): Promise<Page> {
    const opened = opening.then(openWindow)
    opening = opened.catch(() => {})
    const page = await opened
    await page.goto(origin)
    await page.waitForFunction(() => 'nemesis' in globalThis)
    return page
  }

  async function start(worker: string): Promise<void> {
    const page = await openPage()
    // The run may be over by now.
    if (finishing) return
    const name = `${worker}.${tabs.length + 1}`
    const tab: Tab = { page, name, lines: [], listeners: new Set(), doomed: false, end: () => leave('ended'), gone: false }
    tabs.push(tab)
    const leave = (why: string) => {
      if (tab.gone) return
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

  const browser = await context.newCDPSession(context.pages()[0] as Page)
  let onlooker = await openPage()
  const storage = await driveStorage(context, origin)
  const archive = new Archive(now, async (life, place) => {
    const looked = onlooker.evaluate(([life, place]) => nemesis.look(life, place), [life, place] as const)
    const answered = new AbortController()
    const late = sleep(longestLook, undefined, { signal: answered.signal }).then(async () => {
      onlooker.close().catch(() => {})
      onlooker = await openPage()
      throw new Error('the page that looks on was loaded anew')
    })
    return Promise.race([looked, late]).finally(() => answered.abort())
  })
  for (const worker of names) await start(worker)
  const tabOf = (worker: string): Tab => tabs.findLast((tab) => workerOf(tab) === worker) as Tab
  const living = () => tabs.filter(({ gone }) => !gone)

  /** Resolves with true when the tab sends this message, and with false when the tab is gone. */
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
    // A tab that hangs or dies answers late or never.
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
  /** A fault that wipes the database. The log is read just before. */
  const wiped = (kind: string, wipe: (tab: Tab) => Promise<boolean>): Fault => ({
    kind,
    async inflict(worker) {
      await archive.read()
      return !finishing && wipe(tabOf(worker))
    },
  })
  // Without a fence, overwritten updates could not be told from wiped ones.
  if (fenced)
    faults.push(
      { kind: 'connections torn', inflict: () => storage.tear() },
      { kind: 'database upgraded', inflict: (worker) => obeyed(tabOf(worker), { type: 'upgrade' }) },
      wiped('storage cleared by a header', (tab) => obeyed(tab, { type: 'log out' })),
      wiped('storage cleared by the driver', async () => {
        await storage.clear()
        return true
      }),
      wiped('database deleted', (tab) => obeyed(tab, { type: 'delete' })),
    )
  const reading = setInterval(() => archive.read(), readEvery)

  return {
    workers: names,
    faults,
    failed,
    holder: async (key) => holders.get(key),
    written: async () => archive.written,
    async final() {
      const until = now() + patience
      while (!(await archive.read())) if (now() > until) throw new Error('the database cannot be read')
      return archive.final(new Set(tabs.flatMap(({ lines }) => lines.flatMap(placesIn))))
    },
    async finish() {
      finishing = true
      const last = living()
      const unfinished = new Set(last)
      const ended = Promise.all(last.map(async (tab) => ((await obeyed(tab, { type: 'finish' })) || tab.gone) && unfinished.delete(tab)))
      await Promise.race([ended, sleep(patience, undefined, { ref: false })])
      await Promise.all(last.map(({ page }) => page.close()))
      return [...unfinished].map(({ name }) => name)
    },
    notes: async () => tabs.map(({ lines }) => lines),
    // The monotonic clocks of two pages differ a little.
    allowed: { skew: 20, afterWipe: duration },
    async close() {
      finishing = true
      clearInterval(reading)
      await close()
    },
  }
}

const placesIn = (line: Line): string[] => (line.type === 'grant' ? [line.key] : line.type === 'invoke' ? [line.write.key] : [])

const workerOf = ({ name }: Tab): string => name.replace(/\.\d+$/, '')
