import { onAbort } from '../locks/abort.ts'
import type { Hold } from '../locks/hold.ts'
import type { ReleaseListener } from '../locks/types.ts'
import type { LockError } from '../protocol/index.ts'
import { decodeError } from './errors.ts'
import type { Answer, Marks } from './protocol.ts'

/** The parts of a call that stay in the page. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined
  readonly onReleaseRequested?: ReleaseListener | undefined
  /** Runs while the lock is held. It never rejects. */
  readonly callback?: ((hold: Hold | null) => Promise<void>) | undefined
  /** The call has an `ask` for the holders, so the worker gets it even if it was cancelled at once. */
  readonly speaks?: boolean
}

/** A call that waits for the worker. */
interface Call {
  readonly onReleaseRequested?: ReleaseListener | undefined
  granted(hold: Hold | null): void
  fail(error: unknown): void
}

/** What calls need from the connection to the worker. */
interface Connection {
  /** Resolves when calls can be sent. */
  connected(): Promise<void>
  /** The error, if the connection has ended and never works again. */
  over(): LockError | undefined
  /** A call begins, so the worker owes an answer. */
  begun(): void
  /** Tells the worker that a call is cancelled, or that its callback has settled. */
  callOff(id: number): void
  done(id: number): void
  /** Asks the worker whether a lock is still held. */
  settle(hold: Hold): Promise<void>
  /** The callback of this lock has settled. */
  giveBack(id: number): void
}

/** A page's calls to its client in the worker, by number. */
export class Calls {
  readonly #connection: Connection
  readonly #calls = new Map<number, Call>()
  #last = 0

  constructor(connection: Connection) {
    this.#connection = connection
  }

  /** Whether any call waits for the worker. */
  any(): boolean {
    return this.#calls.size > 0
  }

  get(id: number): Call | undefined {
    return this.#calls.get(id)
  }

  failAll(error: LockError): void {
    for (const { fail } of this.#calls.values()) fail(error)
  }

  /** Sends a call to the worker, and waits for its result. */
  make<T>(send: (id: number, marks: Marks) => Promise<Answer<T>>, own: CallOptions = {}): Promise<T> {
    const { signal, onReleaseRequested, callback, speaks } = own
    const connection = this.#connection
    return new Promise((resolve, reject) => {
      const over = connection.over()
      if (over) return reject(over)
      const id = ++this.#last
      let wasGranted = false
      const end = (): void => {
        this.#calls.delete(id)
        stopListening()
      }
      const stopListening = onAbort(signal, () => {
        call.fail(signal?.reason)
        connection.callOff(id)
      })
      const call: Call = {
        onReleaseRequested,
        fail(error) {
          end()
          reject(error)
        },
        granted: async (hold) => {
          wasGranted = true
          // The grant arrived after its deadline, but the worker may have renewed it since.
          if (hold && !hold.isHeld()) await connection.settle(hold)
          if (!this.#calls.has(id)) return
          end()
          if (!callback) return resolve(hold as T)
          await callback(hold)
          const lost = hold?.error?.code === 'lost'
          if (hold) connection.giveBack(id)
          connection.done(id)
          // After a loss, the worker may be gone and unable to answer.
          if (lost || connection.over()) resolve(null as T)
          else this.#calls.set(id, call)
        },
      }
      this.#calls.set(id, call)
      connection.begun()
      const marks: Marks = {
        signal: signal && (signal.aborted ? 'aborted' : 'live'),
        listens: onReleaseRequested !== undefined,
      }
      const answered = (answer: Answer<T>): void => {
        // A granted lock is already the answer, except for a request with a callback, which is answered at the end.
        if (wasGranted && !callback) return
        end()
        if ('value' in answer) resolve(answer.value)
        else reject('error' in answer ? decodeError(answer.error) : signal?.reason)
      }
      connection.connected().then(() => {
        const isWanted = this.#calls.has(id)
        if (!isWanted && !speaks) return
        send(id, marks).then(answered, (error) => call.fail(unsendable(error)))
        if (!isWanted) connection.callOff(id)
      })
    })
  }
}

const unsendable = (error: unknown): unknown =>
  (error as Error).name === 'DataCloneError'
    ? new TypeError(`only plain data can be sent to the worker: ${(error as Error).message}`, { cause: error })
    : error
