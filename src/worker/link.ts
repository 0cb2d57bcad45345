import * as Comlink from 'comlink'
import { type Clock, driftOf } from '../locks/clock.ts'
import { released } from '../locks/core/ends.ts'
import type { LockWarning } from '../locks/events.ts'
import { Hold, type HoldHome } from '../locks/hold.ts'
import { newId } from '../locks/id.ts'
import { LockError, type Policy } from '../protocol/index.ts'
import type { Beacon } from '../store.ts'
import { type CallOptions, Calls } from './calls.ts'
import { type Endpoint, Lane, onGone } from './endpoint.ts'
import { decodeError } from './errors.ts'
import type { ClientApi, Order, PageApi, Pulse, Reading, Way } from './protocol.ts'
import { Raised } from './raised.ts'
import { RemoteLease, RemoteLeases } from './remote-leases.ts'
import { Watchdog } from './watchdog.ts'

export interface LinkOptions {
  readonly clock: Clock
  /** How long the worker may be silent while it owes an answer, in ms. */
  readonly maxSilence: number
  readonly label: string | undefined
  readonly beacon: Beacon | undefined
  /** Whether this page is asleep at first: unable to answer for a while. */
  readonly asleep: boolean
  onWarning(warning: LockWarning): void
  /** Called with every grant. */
  granted(hold: Hold): void
}

/** This page's id, once it has a link. Its sessions in the worker recognize each other by it. */
let realm = ''

/** A page's connection to its client in the worker. A failed connection never works again. */
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
  readonly #calls: Calls
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
    this.#calls = new Calls({
      connected: () => this.#connected,
      over: () => this.#over,
      begun: () => this.#watchdog.watch(),
      callOff: (id) => void remote.callOff(id),
      done: (id) => void remote.done(id),
      settle: (hold) => this.settle(hold),
      giveBack: (id) => this.#leases.end(id, released),
    })
    this.#leases = new RemoteLeases({
      clock,
      check: () => remote.check(this.#read()),
      renew: (id, duration) => this.#calls.make(() => remote.renew(id, this.#read(), duration)),
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
      isOwed: () => this.#calls.any() || !this.#isConnected,
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
        // Send this before the calls that have waited for the connection.
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

  /** Requests a lock. Resolves with the lock, or `null` if it is not available; with a callback, once that has settled and the lock is released. */
  ask(way: Way, name: string, options: object, own: CallOptions): Promise<Hold | null> {
    return this.#calls.make<Hold | null>((id, marks) => this.#remote.ask(id, way, name, options, marks), {
      ...own,
      speaks: (options as { ask?: unknown }).ask !== undefined,
    })
  }

  /** Asks the worker whether it still holds a lock whose deadline passed while this page was blocked. Afterwards the lock is either lost or held. */
  async settle(hold: Hold): Promise<void> {
    await this.#leases.settle(this.#leases.all().filter((lease) => lease.hold === hold))
  }

  order(order: Order, args: readonly unknown[], signal?: AbortSignal): Promise<unknown> {
    return this.#calls.make((id, marks) => this.#remote.order(id, order, args, marks), { signal })
  }

  retire(lease: RemoteLease): Promise<void> {
    this.#leases.remove(lease)
    const gone = this.#calls.make<void>(() => this.#remote.release(lease.id))
    // A caller that does not await the release gets a warning, as everywhere.
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
    this.#calls.failAll(closed)
    for (const { id } of this.#leases.all()) this.#leases.end(id, released)
    // A worker that has not answered yet may have heard of this page, and would keep a client for it.
    if (!this.#isConnected) this.#remote.close().catch(() => {})
    else await this.#calls.make(() => this.#remote.close().then((value) => ({ value }))).catch(() => {})
    this.#finish(closed)
  }

  #api(): PageApi {
    return {
      pulse: (pulse) => this.#hear(pulse),
      granted: (id, grant) => {
        const call = this.#calls.get(id)
        // The call was cancelled, and the worker knows.
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
    this.#calls.failAll(error)
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
