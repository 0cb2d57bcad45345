/** One of the things that are compared. */
export interface Side {
  /** How often it is done in a round. */
  readonly iterations: number
  /** Does it that often, one after the other. */
  run(iterations: number): void | Promise<void>
}

/** What came of a comparison. */
export interface Measured<Name extends string> {
  /** The median round's time for one iteration, in µs. */
  readonly medians: Readonly<Record<Name, number>>
  /** Iterations measured of each side. */
  readonly counts: Readonly<Record<Name, number>>
}

/** Hears how far a measurement is, from 0 to 1. */
export type Progress = (done: number) => void

/** Rounds that are thrown away first, as a share: what is measured is compiled code on warm pages. */
const warmUp = 0.2

/**
 * Measures several sides in alternation, so that whatever else the machine does meets all of them alike.
 * Each round starts with another side, since the first of a round pays for the rubbish of the last.
 */
export async function alternate<Name extends string>(
  sides: Readonly<Record<Name, Side>>,
  rounds: number,
  progress: Progress = () => {},
): Promise<Measured<Name>> {
  const names = Object.keys(sides) as Name[]
  const times = Object.fromEntries(names.map((name): [Name, number[]] => [name, []])) as Record<Name, number[]>
  const skipped = Math.ceil(rounds * warmUp)
  for (let round = 0; round < skipped + rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(round + turn) % names.length] as Name
      const { iterations, run } = sides[name]
      const start = performance.now()
      await run(iterations)
      if (round >= skipped) times[name].push(((performance.now() - start) * 1000) / iterations)
    }
    progress((round + 1) / (skipped + rounds))
  }
  const each = (value: (name: Name) => number) => Object.fromEntries(names.map((name) => [name, value(name)])) as Record<Name, number>
  return { medians: each((name) => median(times[name])), counts: each((name) => rounds * sides[name].iterations) }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? NaN
  return sorted.length % 2 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2
}

/** @param share of the values that are no greater, from 0 to 1 */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.ceil(sorted.length * share) - 1] ?? NaN
}
