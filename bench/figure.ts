import { type Measured, type Progress, percentile } from './rounds.ts'

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
  /** The ratio to stay under. A figure without a target is for comparison only. */
  readonly target?: number | undefined
}

/** One line of a plot of `plots.ts`. */
export interface Curve {
  /** The plot to which the line belongs. */
  readonly plot: 'handoff' | 'tabs' | 'waiters' | 'keys'
  /** The text of the line in the legend. */
  readonly series: string
  readonly points: readonly (readonly [x: number, y: number])[]
}

/** Measures one family of figures, and passes curves for the plots to `draw`. */
export type Measure = (progress: Progress, draw: (curve: Curve) => void) => Promise<Figure[]>

/** A figure from two sides of a {@link Measured}: ours and another, in µs. */
export function compared<Name extends string>(
  name: string,
  { medians, counts }: Measured<Name>,
  our: Name,
  their: Name,
  against: string,
  target?: number,
): Figure {
  return { ...figure(name, 'µs', medians[our], against, medians[their], Math.min(counts[our], counts[their])), target }
}

/** A figure from two values in `unit`. */
export const figure = (name: string, unit: string, ours: number, against: string, theirs: number, n: number, target?: number): Figure => ({
  ...{ name, unit, ours, against, theirs, ratio: ours / theirs, n, target },
})

/** The share of the trials that were done after a time, in as many steps as the number of trials allows. */
export function distribution(plot: Curve['plot'], series: string, times: readonly number[]): Curve {
  const steps = Math.min(100, times.length)
  const points = Array.from({ length: steps }, (_, index): [number, number] => [percentile(times, (index + 1) / steps), ((index + 1) / steps) * 100])
  return { plot, series, points }
}
