import { say } from './output.ts'

let told = false

/** Sets whether steps are reported on stderr, as with `--verbose`. */
export const tellSteps = (verbose: boolean): void => {
  told = verbose
}

/** Reports a step, with the time since this process began. */
export function step(what: string): void {
  if (told) say(`${(performance.now() / 1_000).toFixed(3)}s  ${what}`)
}
