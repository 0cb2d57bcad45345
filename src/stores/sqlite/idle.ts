import { isBusy } from './driver.ts'

/** SQLite's own waiting starves one of several busy processes for seconds; short pauses of random length do not. */
const pauseTime = (): number => 1 + Math.random() * 2

/** Attempts without a pause: most transactions of others are over by then. */
const eager = 5

/**
 * Takes a step now, or else as soon as the database is not busy; how long that may take is for the caller to bound.
 *
 * @param mayPass whether an error of the step may pass by itself
 * @returns makes an attempt now if it pauses
 */
export function whenIdle<T>(step: () => T, done: (result: T) => void, failed: (error: unknown) => void, mayPass = isBusy): () => void {
  let attempts = 0
  let pause: NodeJS.Timeout | undefined
  const attempt = (): void => {
    pause = undefined
    attempts += 1
    let result: T
    try {
      result = step()
    } catch (error) {
      if (!mayPass(error)) failed(error)
      else if (attempts < eager) setImmediate(attempt)
      else pause = setTimeout(attempt, pauseTime())
      return
    }
    done(result)
  }
  attempt()
  return () => {
    if (!pause) return
    clearTimeout(pause)
    attempt()
  }
}
