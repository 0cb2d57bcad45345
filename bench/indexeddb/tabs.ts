import type { BrowserContext, Page } from 'playwright-core'
import { bundle } from '../bundle.ts'
import type { Figure, Measure } from '../figure.ts'
import { median, type Progress } from '../rounds.ts'
import { inChromium, origin } from './chromium.ts'
import type { Kind } from './page/tabs.ts'

const handoffs = 200
const crashes = 20

/** Both in each round, and each the first in half of them. */
const kinds: readonly Kind[] = ['ours', 'webLocks']
const turns = (round: number): readonly Kind[] => (round % 4 < 2 ? kinds : kinds.toReversed())

export const measures: Record<string, Measure> = {
  async 'indexeddb.handoff'(progress) {
    const times = await inTabs((open) => handOff(open, progress))
    return [figure('indexeddb.handoff', times, 'navigator.locks between the same two tabs', 4)]
  },

  async 'indexeddb.takeover'(progress) {
    const times = await inTabs((open) => takeOver(open, progress))
    // The floor: how long the browser takes to notice. What is promised is a time.
    return [figure('indexeddb.takeover', times, 'navigator.locks after the same crash'), against('indexeddb.takeover', times, 'the limit', 35)]
  },
}

type Times = Readonly<Record<Kind, readonly number[]>>

/** From the call of release in one tab to the next callback in another, in ms. */
async function handOff(open: () => Promise<Page>, progress: Progress): Promise<Times> {
  const pages = [await open(), await open()] as const
  const times = { ours: [[], []] as number[][], webLocks: [[], []] as number[][] }
  for (let round = 0; round < handoffs; round++) {
    const direction = round % 2
    const [holder, waiter] = direction ? [pages[1], pages[0]] : pages
    for (const kind of turns(round)) {
      await wait(holder, waiter, kind)
      const released = await holder.evaluate(() => benchTab.release())
      times[kind][direction]?.push((await waiter.evaluate(() => benchTab.grantedAt())) - released)
    }
    progress((round + 1) / handoffs)
  }
  return { ours: withoutSkew(times.ours), webLocks: withoutSkew(times.webLocks) }
}

/** Two tabs' clocks differ a little: what one direction gains by that, the other loses. */
function withoutSkew([there = [], back = []]: readonly number[][]): number[] {
  const skew = (median(there) - median(back)) / 2
  return [...there.map((time) => time - skew), ...back.map((time) => time + skew)]
}

/** From the moment when a tab is told to crash to the callback in the tab that waits, in ms. */
async function takeOver(open: () => Promise<Page>, progress: Progress): Promise<Times> {
  const waiter = await open()
  const times = { ours: [] as number[], webLocks: [] as number[] }
  for (let round = 0; round < crashes; round++) {
    for (const kind of turns(round)) {
      const holder = await open()
      await wait(holder, waiter, kind)
      const cdp = await holder.context().newCDPSession(holder)
      const crashed = holder.waitForEvent('crash')
      // A tab's clock is asked for its time just before: this process's own differs a little.
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

/** Has one tab hold the lock and the other wait for it. */
async function wait(holder: Page, waiter: Page, kind: Kind): Promise<void> {
  await holder.evaluate((kind) => benchTab.hold(kind), kind)
  await waiter.evaluate((kind) => benchTab.ask(kind), kind)
  await waiter.evaluate((kind) => benchTab.queued(kind), kind)
}

const figure = (name: string, times: Times, peer: string, target?: number): Figure => ({
  ...against(name, times, peer, median(times.webLocks)),
  target,
})

const against = (name: string, { ours }: Times, peer: string, theirs: number): Figure => ({
  ...{ name, unit: 'ms', ours: median(ours), against: peer, theirs, ratio: median(ours) / theirs, n: ours.length, target: 1 },
})

/** Hands over how to open tabs of one profile, each in a process of its own. */
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
