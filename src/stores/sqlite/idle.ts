import { isBusy } from './driver.ts'

/** How many attempts are made without a pause: most other transactions have ended by then. */
const eager = 5
/**
 * After `every` further attempts the pause doubles, up to `most` times the first one: if a hundred processes want to write, their attempts alone
 * would keep a machine busy.
 */
const growth = { every: 2, most: 32 }

/**
 * The pause before the next attempt, in ms. SQLite's own waiting starves one of several busy processes for seconds; short pauses of random length do
 * not.
 */
const pauseTime = (attempts: number): number => (1 + Math.random() * 2) * Math.min(2 ** Math.floor((attempts - eager) / growth.every), growth.most)

export interface Patience {
  /** Whether an error of the step is temporary. Default: whether the database is busy. */
  mayPass?(error: unknown): boolean
  /** Whether a session loses a lock, or waits for a free one, unless the step runs soon: its pauses then stay short. */
  isUrgent?(): boolean
}

const never = (): boolean => false

/**
 * Runs a step now, or as soon as the database is not busy; the caller has to limit how long that may take.
 *
 * @param step is told whether an earlier attempt failed
 * @returns a function that makes an attempt now if the step is pausing
 */
export function whenIdle<T>(
  step: (again: boolean) => T,
  done: (result: T) => void,
  failed: (error: unknown) => void,
  { mayPass = isBusy, isUrgent = never }: Patience = {},
): () => void {
  let attempts = 0
  let pause: NodeJS.Timeout | undefined
  const attempt = (): void => {
    pause = undefined
    attempts += 1
    let result: T
    try {
      result = step(attempts > 1)
    } catch (error) {
      if (!mayPass(error)) failed(error)
      else if (attempts < eager) setImmediate(attempt)
      else pause = setTimeout(attempt, pauseTime(isUrgent() ? eager : attempts))
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
