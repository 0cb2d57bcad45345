import { setTimeout as sleep } from 'node:timers/promises'
import { bundle } from '../bundle.ts'
import { type Figure, figure, type Measure } from '../figure.ts'
import type { Progress } from '../rounds.ts'
import { engines, servePage } from './background.ts'
import type { Fate } from './page/hidden.ts'

/** The number of times that the progress is shown. */
const steps = 20

/** @param choices `hiddenFor`: how long the tabs are hidden, in s */
export const measures = (choices: { readonly hiddenFor: number }): Record<string, Measure> => ({
  async 'hidden.losses'(progress) {
    const { hiddenFor } = choices
    const page = await servePage(await bundle('bench/indexeddb/page/hidden.ts', 'browser'))
    try {
      // The engines are nearly idle, so they are measured at the same time.
      const each = Object.keys(engines).map((engine, index) => inEngine(engine, page.url, hiddenFor, index ? () => {} : progress))
      return (await Promise.all(each)).flat()
    } finally {
      page.close()
    }
  },
})

/** Hides a tab for so many seconds. It holds one lock as usual, and another with plain timers. */
async function inEngine(engine: string, url: string, hiddenFor: number, progress: Progress): Promise<Figure[]> {
  const tab = await engines[engine]?.(url)
  if (!tab) return []
  try {
    await tab.evaluate('hiddenTab.hold().then(() => null)')
    for (let step = 1; step <= steps; step++) {
      await sleep((hiddenFor / steps) * 1_000)
      progress(step / steps)
    }
    const { ours, plain } = await tab.evaluate<Readonly<Record<'ours' | 'plain', Fate>>>('hiddenTab.fates()')
    const where = `in ${engine}, hidden for ${hiddenFor} s`
    const plainly = plain.losses ? `: plain timers lost ${plain.losses}` : ''
    return [
      { ...figure('hidden.losses', 'locks', ours.losses, `none may be lost ${where}${plainly}`, 1, ours.beats), target: 0 },
      figure('hidden.pause', 'ms', ours.longestPause, `the longest between two beats of plain timers ${where}`, plain.longestPause, plain.beats),
    ]
  } finally {
    await tab.close()
  }
}
