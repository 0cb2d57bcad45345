import type { Measured, Progress } from './rounds.ts'

/** One line of the bench. */
export interface Figure {
  readonly name: string
  readonly unit: string
  /** Medians, in `unit`. */
  readonly ours: number
  readonly against: string
  readonly theirs: number
  /** `ours / theirs`. */
  readonly ratio: number
  /** Iterations behind the smaller of the two medians' samples. */
  readonly n: number
  /** The ratio to stay under; a figure without one is there for comparison. */
  readonly target?: number | undefined
}

/** Measures one family of figures: those of these names. */
export type Measure = (progress: Progress) => Promise<Figure[]>

/** A figure from what {@link Measured} holds of our side and of another, in µs. */
export function compared<Name extends string>(
  name: string,
  { medians, counts }: Measured<Name>,
  our: Name,
  their: Name,
  against: string,
  target?: number,
): Figure {
  const [ours, theirs] = [medians[our], medians[their]]
  return { name, unit: 'µs', ours, against, theirs, ratio: ours / theirs, n: Math.min(counts[our], counts[their]), target }
}
