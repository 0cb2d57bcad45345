import { LockError } from '../protocol/index.ts'
import { longestTimer } from './clock.ts'

/** The worker's script: waits as many ms as it was last told, and posts a message. */
const script = 'let timer;onmessage=({data})=>{clearTimeout(timer);timer=setTimeout(postMessage,data,0)}'

/** Pages that enforce Trusted Types require this for script URLs. */
interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): string }
}

/** Ticks on time, also in a hidden page: browsers slow down such a page's timers, but not those of its workers. */
export class Ticker {
  readonly #worker: Worker
  readonly #url: string

  /**
   * @param tick called when the time is over
   * @param failed called instead, at most once, if the worker is refused asynchronously
   * @throws LockError `store` if it is refused at once
   */
  constructor(tick: () => void, failed: (error: LockError) => void) {
    let url = ''
    try {
      url = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }))
      this.#worker = new Worker(trusted(url))
    } catch (error) {
      if (url) URL.revokeObjectURL(url)
      throw refusal(error)
    }
    this.#url = url
    this.#worker.onmessage = tick
    this.#worker.onerror = (event) => failed(refusal(event))
  }

  /** Ticks in this many ms, or earlier if that is longer than a timer can measure. Replaces the time set before. */
  wakeIn(ms: number): void {
    this.#worker.postMessage(Math.min(Math.max(0, Math.ceil(ms)), longestTimer))
  }

  stop(): void {
    this.#worker.terminate()
    URL.revokeObjectURL(this.#url)
  }
}

let policy: ReturnType<TrustedTypes['createPolicy']> | undefined

/** A policy's name may be used only once, so one policy serves all tickers. */
function trusted(url: string): string {
  const { trustedTypes } = globalThis as { trustedTypes?: TrustedTypes }
  policy ??= trustedTypes?.createPolicy('storelock', { createScriptURL: (own) => own })
  return policy ? policy.createScriptURL(url) : url
}

function refusal(cause: unknown): LockError {
  const why =
    typeof Worker === 'undefined'
      ? 'there is no Worker here'
      : 'it may not start a worker from a blob: URL. Allow `worker-src blob:` and, where it asks for Trusted Types, `trusted-types storelock` in its ' +
        'Content-Security-Policy, or use `storelock/worker`'
  return new LockError('store', `heartbeats of this page fall behind while it is hidden, and locks may be lost: ${why}`, { cause })
}
