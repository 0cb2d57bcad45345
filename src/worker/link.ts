import * as Comlink from 'comlink'
import { onAbort } from '../locks/abort.ts'
import { type Clock, driftOf } from '../locks/clock.ts'
import { released } from '../locks/core/ends.ts'
import type { LockWarning } from '../locks/events.ts'
import { Hold, type HoldHome } from '../locks/hold.ts'
import { newId } from '../locks/id.ts'
import type { ReleaseListener } from '../locks/types.ts'
import { LockError, type Policy } from '../protocol/index.ts'
import type { Beacon } from '../store.ts'
import { type Endpoint, Lane, onGone } from './endpoint.ts'
import { decodeError } from './errors.ts'
import type { Answer, ClientApi, Marks, Order, PageApi, Pulse, Reading, Way } from './protocol.ts'
import { Raised } from './raised.ts'
import { RemoteLease, RemoteLeases } from './remote-leases.ts'
import { Watchdog } from './watchdog.ts'

export interface LinkOptions {
  readonly clock: Clock
  /** How long the worker may be silent while it owes an answer, in ms. */
  readonly maxSilence: number
  readonly label: string | undefined
  readonly beacon: Beacon | undefined
  /** Whether this page is unable to answer for a while, from the start. */
  readonly asleep: boolean
  onWarning(warning: LockWarning): void
  /** Called with every grant. */
  granted(hold: Hold): void
}

/** The parts of a call that stay in the page. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined
  readonly onReleaseRequested?: ReleaseListener | undefined
  /** Runs while the lock is held. It never rejects. */
  readonly callback?: ((hold: Hold | null) => Promise<void>) | undefined
  /** It has an ask for the holders, so the worker gets it even if it was cancelled at once. */
  readonly speaks?: boolean
}

/** Names this page, once it has a link: in the worker, its sessions recognize each other by it. */
let realm = ''

/** A call that waits for the worker. */
interface Call {
  readonly onReleaseRequested?: ReleaseListener | undefined
  granted(hold: Hold | null): void
  fail(error: unknown): void
}

/** A page's connection to its client in the worker. A failed one never works again. */
export class Link implements HoldHome {
  /** The worker applies the policy of its locks. */
  readonly policy: Policy = {}
  readonly #options: LinkOptions
  readonly #lane: Lane
  readonly #remote: Comlink.Remote<ClientApi>
  readonly #leases: RemoteLeases
  readonly #raised: Raised
  readonly #watchdog: Watchdog
  readonly #connected: Promise<void>
  readonly #stopListening: () => void
  readonly #calls = new Map<number, Call>()
  #lastCall = 0
  #isConnected = false
  #asleep: boolean
  #session = ''
  #over: LockError | undefined

  constructor(endpoint: Endpoint, options: LinkOptions) {
    const { clock, maxSilence, label, beacon, asleep } = options
    realm ||= newId()
    this.#options = options
    this.#asleep = asleep
    this.#lane = new Lane(endpoint, newId())
    const remote = Comlink.wrap<ClientApi>(this.#lane)
    this.#remote = remote
    this.#leases = new RemoteLeases({
      clock,
      check: () => remote.check(this.#read()),
      renew: (id, duration) => this.#call(() => remote.renew(id, this.#read(), duration)),
      gaveUp: (id) => void remote.release(id),
    })
    this.#raised = new Raised({
      beacon,
      refused: ({ message }) => this.#degraded(`no proofs of death, since navigator.locks refuses: ${message}`),
      lost: (session) => {
        this.#leases.loseAll('its beacon went out', session)
        remote.beaconLost(session)
      },
    })
    this.#watchdog = new Watchdog({
      clock,
      maxSilence,
      isOwed: () => this.#calls.size > 0 || !this.#isConnected,
      ask: () => this.#isConnected && remote.check(this.#read()),
      silent: () =>
        this.#fail(
          this.#isConnected
            ? `the worker has said nothing for ${maxSilence} ms`
            : `nobody has answered within ${maxSilence} ms: call expose(locks) of storelock/worker in the worker, and see that its script loads`,
        ),
    })
    this.#stopListening = onGone(endpoint, () => this.#fail('the worker has ended'))
    this.#lane.addEventListener('message', () => this.#watchdog.heard())
    Comlink.expose(this.#api(), this.#lane)
    this.#connected = new Promise((connected) => {
      this.#lane.open({ label, realm }, async () => {
        const { duration, spansMachines, ...pulse } = await remote.connect(this.#read())
        Object.assign(this.#leases, { duration, spansMachines })
        this.#hear(pulse)
        this.#isConnected = true
        // Before the calls that have waited for this.
        if (this.#asleep) remote.sleep(true)
        connected()
      })
    })
    this.#watchdog.watch()
  }

  get isOver(): boolean {
    return this.#over !== undefined
  }

  /** The id that the worker last reported; empty before that. */
  get session(): string {
    return this.#session
  }

  /** Requests a lock. Resolves with it, with `null` if it is not available, or, with a callback, once that has settled and the lock is released. */
  ask(way: Way, name: string, options: object, own: CallOptions): Promise<Hold | null> {
    return this.#call<Hold | null>((id, marks) => this.#remote.ask(id, way, name, options, marks), {
      ...own,
      speaks: (options as { ask?: unknown }).ask !== undefined,
    })
  }

  /** Asks the worker whether a lock is still held whose deadline passed while this page was blocked: afterwards it is either lost or held. */
  async settle(hold: Hold): Promise<void> {
    await this.#leases.settle(this.#leases.all().filter((lease) => lease.hold === hold))
  }

  order(order: Order, args: readonly unknown[], signal?: AbortSignal): Promise<unknown> {
    return this.#call((id, marks) => this.#remote.order(id, order, args, marks), { signal })
  }

  retire(lease: RemoteLease): Promise<void> {
    this.#leases.remove(lease)
    const gone = this.#call<void>(() => this.#remote.release(lease.id))
    // A caller that does not await it gets a warning, as everywhere.
    gone.catch(() => {})
    return gone
  }

  /** This page cannot answer for a while, or can again. */
  sleep(asleep: boolean): void {
    this.#asleep = asleep
    if (this.#isConnected) this.#remote.sleep(asleep)
  }

  /** This page is being left. */
  leave(): void {
    this.#leases.loseAll('its session ended: the page was left')
    this.#raised.lowerAll()
    if (this.#isConnected) this.#remote.leave()
  }

  /** Releases everything. Never rejects. */
  async close(closed: LockError): Promise<void> {
    for (const { fail } of this.#calls.values()) fail(closed)
    for (const { id } of this.#leases.all()) this.#leases.end(id, released)
    // A worker that has not answered yet may have heard of this page, and would keep a client for it.
    if (!this.#isConnected) this.#remote.close().catch(() => {})
    else await this.#call(() => this.#remote.close().then((value) => ({ value }))).catch(() => {})
    this.#finish(closed)
  }

  /** Sends a call to the worker, and waits for its result. */
  #call<T>(send: (id: number, marks: Marks) => Promise<Answer<T>>, own: CallOptions = {}): Promise<T> {
    const { signal, onReleaseRequested, callback, speaks } = own
    return new Promise((resolve, reject) => {
      if (this.#over) return reject(this.#over)
      const id = ++this.#lastCall
      let wasGranted = false
      const end = (): void => {
        this.#calls.delete(id)
        stopListening()
      }
      const stopListening = onAbort(signal, () => {
        call.fail(signal?.reason)
        this.#remote.callOff(id)
      })
      const call: Call = {
        onReleaseRequested,
        fail(error) {
          end()
          reject(error)
        },
        granted: async (hold) => {
          wasGranted = true
          // A grant that took this long to arrive may be followed by the news of a renewal.
          if (hold && !hold.isHeld()) await this.settle(hold)
          if (!this.#calls.has(id)) return
          end()
          if (!callback) return resolve(hold as T)
          await callback(hold)
          const lost = hold?.error?.code === 'lost'
          if (hold) this.#leases.end(id, released)
          this.#remote.done(id)
          // The worker may be gone and unable to report it.
          if (lost || this.#over) resolve(null as T)
          else this.#calls.set(id, call)
        },
      }
      this.#calls.set(id, call)
      this.#watchdog.watch()
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
      this.#connected.then(() => {
        const isWanted = this.#calls.has(id)
        if (!isWanted && !speaks) return
        send(id, marks).then(answered, (error) => call.fail(unsendable(error)))
        if (!isWanted) this.#remote.callOff(id)
      })
    })
  }

  #api(): PageApi {
    return {
      pulse: (pulse) => this.#hear(pulse),
      granted: (id, grant) => {
        const call = this.#calls.get(id)
        // It was cancelled, and the worker knows.
        if (!call) return
        if (!grant) return call.granted(null)
        const lease = new RemoteLease(this.#leases, id, grant)
        const { token, previous, dirty, session } = grant
        const hold = new Hold(this, lease, { token, previous, dirty, onReleaseRequested: call.onReleaseRequested })
        this.#session = session
        this.#leases.add(lease)
        this.#options.granted(hold)
        call.granted(hold)
      },
      lost: (id, error) => {
        const { code, message, reason } = decodeError(error) as LockError
        this.#leases.end(id, { code: code === 'lost' ? code : 'not-held', message: () => message, reason })
      },
      asked: (id, ask, who) => quietly(() => this.#leases.get(id)?.hold?.onReleaseRequested?.(ask, who)),
      warned: ({ error, ...warning }) => this.#warn({ ...warning, error: decodeError(error) as LockError }),
      raise: (session, lock) => this.#raised.raise(session, lock),
      lower: (session) => this.#raised.lower(session),
    }
  }

  #read(): Reading {
    const { clock } = this.#options
    return { now: clock.monotonic(), drift: driftOf(clock) }
  }

  #hear(pulse: Pulse): Reading {
    this.#session = pulse.session
    this.#leases.hear(pulse)
    return this.#read()
  }

  #degraded(why: string): void {
    this.#warn({ type: 'degraded', names: [], error: new LockError('store', why) })
  }

  #warn(warning: LockWarning): void {
    quietly(() => this.#options.onWarning(warning))
  }

  #fail(why: string): void {
    if (this.#over) return
    const error = new LockError('store', why)
    this.#over = error
    this.#leases.loseAll(why)
    for (const { fail } of this.#calls.values()) fail(error)
    this.#remote.close()
    this.#finish(error)
  }

  #finish(over: LockError): void {
    this.#over = over
    this.#watchdog.stop()
    this.#leases.stop()
    this.#raised.lowerAll()
    this.#stopListening()
    this.#lane.close()
  }
}

/** Calls a user's listener. If it throws, that must not affect the caller. */
async function quietly(listener: () => unknown): Promise<void> {
  try {
    await listener()
  } catch (error) {
    console.error(error)
  }
}

const unsendable = (error: unknown): unknown =>
  (error as Error).name === 'DataCloneError'
    ? new TypeError(`only plain data can be sent to the worker: ${(error as Error).message}`, { cause: error })
    : error
