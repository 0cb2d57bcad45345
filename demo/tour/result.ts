import { lostOf, type Mode, type Tally } from '../model/counters.ts'
import type { TakeOver } from '../model/history.ts'
import type { Cast } from './cast.ts'
import type { Log } from './log.ts'

/** What happened to one cast. */
export interface Chapter {
  readonly cast: Cast
  readonly log: Log
  readonly tallies: Readonly<Record<Mode, Tally>>
  /** When it began and ended, in ms. */
  readonly from: number
  readonly to: number
}

/** Describes everything that went wrong. Empty if all went well. */
export function faults({ cast, log, tallies }: Chapter): string[] {
  const found = [...log.failures]
  if (lostOf(tallies.fenced) !== 0) found.push(`${lostOf(tallies.fenced)} fenced writes were lost`)
  if (tallies.fenced.made === 0) found.push('no fenced write was made')
  if (lostOf(tallies.none) === 0) found.push('the counter without a lock has lost no write, so this run shows nothing')
  if (log.refused === 0) found.push('no late write was refused')
  return found.map((fault) => `${cast.title}: ${fault}`)
}

const times = (takeOvers: readonly TakeOver[], why: TakeOver['why']): string =>
  takeOvers
    .filter((each) => each.why === why)
    .map(({ since, at }) => (at - since < 1_000 ? `${Math.round(at - since)} ms` : `${((at - since) / 1_000).toFixed(1)} s`))
    .join(', ')

/** The result as rows of cells. The first row is the head. */
export function rows(chapters: readonly Chapter[]): string[][] {
  const row = (name: string, cell: (chapter: Chapter) => string) => [name, ...chapters.map(cell)]
  const lost = (mode: Mode) => (chapter: Chapter) => `${lostOf(chapter.tallies[mode])} of ${chapter.tallies[mode].made}`
  return [
    row('', ({ cast }) => (cast.title.startsWith('tabs') ? 'browser, IndexedDB' : 'processes, SQLite')),
    row('writes lost without a lock', lost('none')),
    row('writes lost with a lease only', lost('lease')),
    row('writes lost with fenced writes', lost('fenced')),
    row('late writes refused by the fence', ({ log }) => String(log.refused)),
    row('take-over from a dead holder, after', ({ log }) => times(log.history.takeOvers, 'death')),
    row('take-over from a hung holder, after', ({ log }) => times(log.history.takeOvers, 'silence')),
  ]
}

export function lines(chapters: readonly Chapter[]): string[] {
  const table = rows(chapters).map(([name = '', ...cells]) => name.padEnd(38) + cells.map((cell) => cell.padStart(20)).join(''))
  const wrong = chapters.flatMap(faults)
  return [...table, '', ...(wrong.length ? wrong.map((fault) => `FAILED: ${fault}`) : ['No fenced write was lost.'])]
}
