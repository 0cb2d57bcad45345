import type { BrowserContext, Page } from 'playwright-core'
import { bundle } from '../bundle.ts'
import { figure, type Measure } from '../figure.ts'
import { median, type Progress } from '../rounds.ts'
import { inChromium, origin } from './chromium.ts'
import type { KeeperSettings } from './page/worker.ts'

/** How long the main thread is blocked, in ms, and how often. */
const blocked = 3_000
const blocks = 10
const hangs = 5
/** In ms. The lease is a third longer than the duration. */
const duration = 1_000
const lease = 4_000 / 3

export const measures: Record<string, Measure> = {
  async 'worker.blocked'(progress) {
    const losses = await inTabs((open) => countLosses(open, progress))
    return [
      {
        ...figure('worker.blocked', `losses in ${blocks} blocks of ${blocked} ms, duration ${duration} ms`, losses, 'none', 0, blocks),
        ratio: losses,
        target: 0,
      },
    ]
  },

  async 'worker.hung'(progress) {
    const times = await inTabs((open) => takeOver(open, progress))
    return [figure('worker.hung', 'ms', median(times), 'from the end of maxSilence, the limit: the lease and 1 s', lease + 1_000, hangs, 1)]
  },
}

type Open = (settings: KeeperSettings) => Promise<Page>

/** How often a tab loses its lock while its thread is blocked for longer than the lease. */
async function countLosses(open: Open, progress: Progress): Promise<number> {
  const page = await open({ duration, maxSilence: 10_000 })
  let losses = 0
  for (let round = 0; round < blocks; round++) {
    await page.evaluate(() => keptTab.ask())
    await page.evaluate(() => keptTab.grantedAt())
    await page.evaluate((ms) => keptTab.block(ms), blocked)
    if (!(await page.evaluate(() => keptTab.isHeld()))) losses++
    await page.evaluate(() => keptTab.release())
    progress((round + 1) / blocks)
  }
  return losses
}

/** The times from the end of a hung tab's `maxSilence` to the grant in the next tab, in ms. */
async function takeOver(open: Open, progress: Progress): Promise<number[]> {
  const settings: KeeperSettings = { duration, maxSilence: duration }
  const waiter = await open(settings)
  const times: number[] = []
  for (let round = 0; round < hangs; round++) {
    const holder = await open(settings)
    await holder.evaluate(() => keptTab.ask())
    await holder.evaluate(() => keptTab.grantedAt())
    await waiter.evaluate(() => keptTab.ask())
    while ((await waiter.evaluate(() => keptTab.waiting())) === 0);
    const began = await holder.evaluate((ms) => keptTab.block(ms), 3 * (duration + lease))
    times.push((await waiter.evaluate(() => keptTab.grantedAt())) - began - settings.maxSilence)
    await waiter.evaluate(() => keptTab.release())
    await holder.close()
    progress((round + 1) / hangs)
  }
  return times
}

async function inTabs<T>(use: (open: Open) => Promise<T>): Promise<T> {
  const script = await bundle('bench/indexeddb/page/worker.ts', 'browser')
  return inChromium((context) => use((settings) => openTab(context, script, settings)))
}

async function openTab(context: BrowserContext, script: string, settings: KeeperSettings): Promise<Page> {
  const page = await context.newPage()
  await page.goto(origin)
  await page.addScriptTag({ type: 'module', content: script })
  await page.waitForFunction(() => 'keptTab' in globalThis)
  await page.evaluate(([script, settings]) => keptTab.start(script, settings), [script, settings] as const)
  return page
}
