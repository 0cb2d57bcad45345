import type { BrowserContext, Page } from 'playwright-core'
import { bundle } from '../bundle.ts'
import { distribution, figure, type Measure } from '../figure.ts'
import { median, type Progress } from '../rounds.ts'
import { inChromium, origin } from './chromium.ts'
import type { Kind } from './page/peers.ts'

/** The number of rounds. In every other round the lock goes the other way. */
const handoffs = 200
const crashes = 20
/** Longer than any hand-off takes, in ms. */
const patience = 10_000

interface Peer {
  /** The name in tables, with the configuration. */
  readonly title: string
  /** It takes part in one of `every` pairs of rounds. Slow peers take part more rarely. */
  readonly every: number
  /** The target for our hand-off, as a share of this peer's. */
  readonly target?: number
}

const peers: Readonly<Record<Exclude<Kind, 'ours'>, Peer>> = {
  webLocks: { title: 'navigator.locks between the same two tabs', every: 1, target: 4 },
  idbMutex: { title: 'idb-mutex, its default (looks every 50 ms)', every: 5, target: 1 / 10 },
  idbMutexTight: { title: 'idb-mutex, looks every 1 ms', every: 2 },
  tabsLock: { title: 'browser-tabs-lock (nothing to configure)', every: 5, target: 1 / 30 },
  polyfill: { title: 'the navigator.locks polyfill (nothing to configure)', every: 4 },
  leader: { title: "broadcast-channel's next leader after die(), by Web Locks (its default)", every: 4 },
  leaderByMessages: { title: "broadcast-channel's next leader after die(), by messages", every: 20 },
}

const theirKinds = Object.keys(peers) as (keyof typeof peers)[]
const kinds: readonly Kind[] = ['ours', ...theirKinds]
const everyOf = (kind: Kind): number => (kind === 'ours' ? 1 : peers[kind].every)

export const measures: Record<string, Measure> = {
  async 'indexeddb.handoff'(progress, draw) {
    const { times, stuck } = await inTabs((open) => handOff(open, progress))
    draw(distribution('tabs', 'storelock', times.ours))
    for (const kind of theirKinds) draw(distribution('tabs', peers[kind].title, times[kind]))
    return theirKinds.map((kind) => {
      const { title, target } = peers[kind]
      const against = stuck.has(kind) ? `${title}: it hung after ${times[kind].length} hand-offs` : title
      return figure('indexeddb.handoff', 'ms', median(times.ours), against, median(times[kind]), times[kind].length, target)
    })
  },

  async 'indexeddb.takeover'(progress) {
    const { ours, webLocks } = await inTabs((open) => takeOver(open, progress))
    return [
      figure('indexeddb.takeover', 'ms', median(ours), 'the limit', 35, crashes, 1),
      // The floor is the time that the browser needs to notice the crash.
      figure('indexeddb.takeover', 'ms', median(ours), 'the floor: navigator.locks after the same crash', median(webLocks), crashes),
    ]
  },
}

interface HandOffs {
  /** In ms. */
  readonly times: Record<Kind, number[]>
  /** Peers whose lock was no longer handed on. They were not tried again. */
  readonly stuck: ReadonlySet<Kind>
}

/** From the call of release in one tab to the next callback in another, in ms. */
async function handOff(open: () => Promise<Page>, progress: Progress): Promise<HandOffs> {
  const openBoth = async () => [await open(), await open()] as const
  let pages = await openBoth()
  const stuck = new Set<Kind>()
  const times = Object.fromEntries(kinds.map((kind) => [kind, [[], []]])) as unknown as Record<Kind, [there: number[], back: number[]]>
  for (let round = 0; round < handoffs; round++) {
    const direction = round % 2 ? 1 : 0
    for (const kind of rotated(kinds, round >> 1)) {
      if (round % (2 * everyOf(kind)) > 1 || stuck.has(kind)) continue
      const [holder, waiter] = direction ? [pages[1], pages[0]] : pages
      const took = await inTime(once(holder, waiter, kind))
      if (took !== undefined) times[kind][direction].push(took)
      else if (kind === 'ours') throw new Error(`the lock was not handed on within ${patience} ms`)
      else {
        // The trial may have left a hung tab, in which the other peers cannot be measured either.
        stuck.add(kind)
        await inTime(Promise.all(pages.map((page) => page.close())))
        pages = await openBoth()
      }
    }
    progress((round + 1) / handoffs)
  }
  // The clocks of two tabs differ a little, so one direction seems faster and the other slower. The steadiest peer shows by how much.
  const skew = (median(times.webLocks[0]) - median(times.webLocks[1])) / 2
  const withoutSkew = ([there, back]: [number[], number[]]): number[] => [...there.map((time) => time - skew), ...back.map((time) => time + skew)]
  return { times: Object.fromEntries(kinds.map((kind) => [kind, withoutSkew(times[kind])])) as HandOffs['times'], stuck }
}

async function once(holder: Page, waiter: Page, kind: Kind): Promise<number> {
  await wait(holder, waiter, kind)
  const released = await holder.evaluate(() => benchTab.release())
  return (await waiter.evaluate(() => benchTab.grantedAt())) - released
}

/** The result of a trial, or undefined if it hangs. */
const inTime = <T>(trial: Promise<T>): Promise<T | undefined> => {
  let timer: NodeJS.Timeout
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), patience)
  })
  // A later failure of the trial does not matter.
  trial.catch(() => {})
  return Promise.race([trial, late]).finally(() => clearTimeout(timer))
}

/** Rotates a list, so that each item comes first equally often. */
const rotated = <T>(list: readonly T[], by: number): T[] => [...list.slice(by % list.length), ...list.slice(0, by % list.length)]

/** The times from the order to crash to the callback in the waiting tab, in ms. */
async function takeOver(open: () => Promise<Page>, progress: Progress): Promise<{ ours: number[]; webLocks: number[] }> {
  const waiter = await open()
  const times = { ours: [] as number[], webLocks: [] as number[] }
  for (let round = 0; round < crashes; round++) {
    for (const kind of rotated(['ours', 'webLocks'] as const, round)) {
      const holder = await open()
      await wait(holder, waiter, kind)
      const cdp = await holder.context().newCDPSession(holder)
      const crashed = holder.waitForEvent('crash')
      // Uses the clock of the tab, since that of this process differs a little.
      const told = await waiter.evaluate(() => benchTab.now())
      cdp.send('Page.crash').catch(() => {})
      await crashed
      times[kind].push((await waiter.evaluate(() => benchTab.grantedAt())) - told)
      await holder.close()
    }
    progress((round + 1) / crashes)
  }
  return times
}

/** Makes one tab hold the lock and the other wait for it. */
async function wait(holder: Page, waiter: Page, kind: Kind): Promise<void> {
  await holder.evaluate((kind) => benchTab.hold(kind), kind)
  await waiter.evaluate((kind) => benchTab.ask(kind), kind)
  await waiter.evaluate((kind) => benchTab.queued(kind), kind)
}

/** Calls `use` with a function that opens tabs of one profile, each in a process of its own. */
async function inTabs<T>(use: (open: () => Promise<Page>) => Promise<T>): Promise<T> {
  const script = await bundle('bench/indexeddb/page/tabs.ts', 'browser')
  return inChromium((context) => use(() => openTab(context, script)))
}

async function openTab(context: BrowserContext, script: string): Promise<Page> {
  const page = await context.newPage()
  await page.goto(origin)
  await page.addScriptTag({ type: 'module', content: script })
  await page.waitForFunction(() => 'benchTab' in globalThis)
  return page
}
