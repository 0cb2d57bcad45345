import { LockError } from '../protocol/index.ts'

/** All that the worker does: waits for as many ms as it was last told, and says so. */
const script = 'let timer;onmessage=({data})=>{clearTimeout(timer);timer=setTimeout(postMessage,data,0)}'

/** Says when it is time, also in a page that is hidden: a browser slows such a page's timers down, and not those of its workers. */
export class Ticker {
  readonly #worker: Worker
  readonly #url: string

  /**
   * @param tick is called when the time is over
   * @param failed is called instead, at most once, if the worker is refused later than at once
   * @throws LockError `store` if it is refused at once
   */
  constructor(tick: () => void, failed: (error: LockError) => void) {
    const url = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }))
    this.#url = url
    try {
      this.#worker = new Worker(url)
    } catch (error) {
      URL.revokeObjectURL(url)
      throw refusal(error)
    }
    this.#worker.onmessage = tick
    this.#worker.onerror = (event) => failed(refusal(event))
  }

  /** Ticks in so many ms, and not when it was told before. */
  wakeIn(ms: number): void {
    this.#worker.postMessage(Math.max(0, Math.ceil(ms)))
  }

  stop(): void {
    this.#worker.terminate()
    URL.revokeObjectURL(this.#url)
  }
}

const refusal = (cause: unknown): LockError =>
  new LockError(
    'store',
    'heartbeats of this page fall behind while it is hidden, and locks may be lost: it may not start a worker from a blob: URL. ' +
      'Allow `worker-src blob:` in its Content-Security-Policy, or use `storelock/worker`',
    { cause },
  )
