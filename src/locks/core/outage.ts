import type { LockError } from '../../protocol/index.ts'

/**
 * In ms: how long a call that does not wait for a lock waits for a busy store, and how long, at least, waiters put up with a store that is too slow
 * to answer.
 */
export const longest = 120_000

/** For how long those who wait bear a store that fails. */
export class Outage {
  #since: number | undefined

  /** The store has answered. */
  end(): void {
    this.#since = undefined
  }

  /**
   * Whether waits go on although the store failed: until it has failed for a whole lease, unless its failure is final. A store that is only too slow
   * to answer, such as a lock server on a busy machine, gets at least two minutes.
   * @param begun when the call that failed began
   */
  bears(error: LockError, lease: number, now: number, begun = now): boolean {
    this.#since ??= begun
    return error.code === 'store' && now - this.#since < (isSlow(error) ? Math.max(lease, longest) : lease)
  }
}

/** Whether a store failed only in that it did not answer in time. */
export const isSlow = ({ cause }: LockError): boolean => (cause as Error | undefined)?.name === 'TimeoutError'
