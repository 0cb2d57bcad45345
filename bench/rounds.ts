/** One of the things that are compared. */
export interface Side {
  /** How often the operation is done in a round. */
  readonly iterations: number
  /** Does the operation that often, one after another. */
  run(iterations: number): void | Promise<void>
}

/** The result of a comparison. */
export interface Measured<Name extends string> {
  /** The median round's time for one iteration, in µs. */
  readonly medians: Readonly<Record<Name, number>>
  /** The number of measured iterations of each side. */
  readonly counts: Readonly<Record<Name, number>>
}

/** Called with the progress of a measurement, from 0 to 1. */
export type Progress = (done: number) => void

/** The share of extra rounds at the start that are thrown away, so that compiled code and warm pages are measured. */
const warmUp = 0.2

/**
 * Measures several sides in alternation, so that other load on the machine affects all of them alike.
 * Each round starts with another side, since the first side of a round pays for the garbage of the last.
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

/** @param share the share of the values that are no greater, from 0 to 1 */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.ceil(sorted.length * share) - 1] ?? NaN
}
