import type { Remote } from 'comlink'
import { onAbort } from '../locks/abort.ts'
import { sessionOf } from '../locks/base.ts'
import { createLocks } from '../locks/create.ts'
import type { Hold } from '../locks/hold.ts'
import type { Settings } from '../locks/home.ts'
import type { Session } from '../locks/session.ts'
import { holdOf } from '../locks/share.ts'
import type { AcquireOptions, Guard, HeldLock, Locks, ReleaseListener } from '../locks/types.ts'
import type { LockError } from '../protocol/index.ts'
import { Contact } from './contact.ts'
import { encodeError } from './errors.ts'
import { PageBeacon } from './page-beacon.ts'
import type { Answer, ClientApi, Marks, Order, PageApi, Pulse, Reading, Way, Welcome } from './protocol.ts'
import { storeFor } from './store.ts'

/** A dedicated worker stops with its page. WebKit may stop it in the middle of a transaction, and all other contexts then wait for that. */
const stopsWithPage = 'DedicatedWorkerGlobalScope' in globalThis

/** A lock that was given to the page. */
interface Given {
  readonly lock: HeldLock | Guard
  readonly hold: Hold
  /** Stops listening for the loss of the lock. */
  forget(): void
}

const calledOff = new Error('the caller does not want it any more')

/** A page's representative in the worker: it has a session for the page, and keeps it alive as long as the page answers. */
export class Client implements ClientApi {
  readonly #page: Remote<PageApi>
  readonly #settings: Settings
  readonly #locks: Locks
  readonly #session: Session
  readonly #contact: Contact
  readonly #beacon: PageBeacon | undefined
  readonly #left: () => void
  /** The controllers that cancel the calls. */
  readonly #calls = new Map<number, AbortController>()
  readonly #given = new Map<number, Given>()
  /** The functions that end the requests' callbacks. */
  readonly #callbacks = new Map<number, () => void>()
  #asleep = false

  /**
   * @param settings of the locks that the worker exposes
   * @param realm names the page, for all its sessions in this worker
   * @param left is called when the page closes its locks
   */
  constructor(page: Remote<PageApi>, { label, maxHold, observe, ...settings }: Settings, realm: string, maxSilence: number, left: () => void) {
    this.#page = page
    this.#settings = { label, maxHold, observe, ...settings }
    this.#left = left
    const { store, clock, duration } = settings
    const contact = new Contact({
      clock,
      every: duration / 10,
      maxSilence,
      isWanted: () => this.#given.size > 0 || (this.#calls.size > 0 && !this.#asleep),
      ask: () => page.pulse(this.#pulse()),
    })
    // A page whose beacon went out is gone, or is in the back/forward cache, and answers again only when it comes back from there.
    const beacon = store.beacon && new PageBeacon(store.beacon, page, () => this.leave())
    this.#contact = contact
    this.#beacon = beacon
    this.#locks = createLocks({
      ...settings,
      label,
      maxHold,
      observe,
      store: storeFor(store, { silence: () => contact.silence, renewed: () => contact.tellSoon(), beacon }),
      onWarning: ({ error, deadline, ...warning }) =>
        page.warned({ ...warning, ...(deadline !== undefined && { deadline: contact.onPage(deadline) }), error: encodeError(error) }),
    })
    this.#session = sessionOf(this.#locks) as Session
    this.#session.realm = realm
  }

  connect(reading: Reading): Welcome {
    this.#contact.heard(reading)
    const { duration, store } = this.#settings
    return { ...this.#pulse(), duration, spansMachines: store.spansMachines === true }
  }

  ask(id: number, way: Way, name: string, options: object, marks: Marks): Promise<Answer<null>> {
    return this.#call(id, marks, async (signal) => {
      const wish = { ...options, ...(signal && { signal }), ...(marks.listens && { onReleaseRequested: this.#listener(id) }) } as never
      const locks = this.#locks
      switch (way) {
        case 'request':
          await locks.request(name, wish, (lock: HeldLock | null) => this.#callBack(id, lock))
          return null
        case 'acquire':
          return this.#give(id, await locks.acquire(name, wish))
        case 'tryAcquire':
          return this.#give(id, await locks.tryAcquire(name, wish))
        case 'share':
          return this.#give(id, await locks.reentrant(name, termsOf(options)).acquire(wish))
        case 'tryShare':
          return this.#give(id, await locks.reentrant(name, termsOf(options)).tryAcquire(wish))
      }
    })
  }

  order(id: number, order: Order, args: readonly unknown[], marks: Marks): Promise<Answer<unknown>> {
    const act = this.#locks[order] as (...args: unknown[]) => Promise<unknown>
    return this.#call(id, marks, (signal) => act(...args, ...(signal ? [{ signal }] : [])))
  }

  callOff(id: number): void {
    this.#calls.get(id)?.abort(calledOff)
    this.release(id)
    this.done(id)
  }

  done(id: number): void {
    this.#take(id)
    this.#callbacks.get(id)?.()
    this.#callbacks.delete(id)
  }

  renew(id: number, reading: Reading, duration?: number): Promise<Answer<Pulse>> {
    this.#contact.heard(reading)
    return answer(async () => {
      await this.#given.get(id)?.hold.renew(duration)
      return this.#pulse()
    })
  }

  release(id: number): Promise<Answer<void>> {
    return answer(async () => this.#take(id)?.release())
  }

  check(reading: Reading): Pulse {
    this.#contact.heard(reading)
    return this.#pulse()
  }

  sleep(asleep: boolean): void {
    this.#asleep = asleep
    this.#session.sleep(asleep)
    if (!asleep) this.#contact.keep()
  }

  leave(): void {
    // The page knows already, and a message would evict it from the back/forward cache.
    for (const id of [...this.#given.keys()]) this.#take(id)
    this.#beacon?.forget()
    this.#asleep = true
    this.#session.leave(stopsWithPage)
  }

  beaconLost(session: string): void {
    this.#beacon?.lost(session)
    // The page is alive, whatever the beacon seemed to say.
    if (this.#asleep) this.sleep(false)
  }

  async close(): Promise<void> {
    for (const call of this.#calls.values()) call.abort(calledOff)
    for (const end of this.#callbacks.values()) end()
    this.#contact.stop()
    await this.#locks.close()
    // Only after the answer has been sent.
    this.#settings.clock.after(0, this.#left, true)
  }

  /** Carries out a call, which the page may cancel at any time. */
  async #call<T>(id: number, { signal }: Marks, act: (signal: AbortSignal | undefined) => Promise<T>): Promise<Answer<T>> {
    const call = new AbortController()
    if (signal === 'aborted') call.abort(calledOff)
    this.#calls.set(id, call)
    this.#contact.keep()
    try {
      return await answer(() => act(signal && call.signal))
    } finally {
      this.#calls.delete(id)
    }
  }

  /** Gives a lock to the page, if there is one. */
  #give(id: number, lock: HeldLock | Guard | null): null {
    if (!lock) return null
    const hold = holdOf(lock)
    const { name, key, mode, token, previous, dirty, session, signal } = hold
    const forget = onAbort(signal, () => {
      this.#given.delete(id)
      this.#page.lost(id, encodeError(signal.reason as LockError))
    })
    this.#given.set(id, { lock, hold, forget })
    this.#contact.keep()
    this.#page.granted(id, { name, key, mode, token, previous, dirty, session, ...this.#contact.term(hold.deadline) })
    return null
  }

  /** Runs the page's callback. */
  #callBack(id: number, lock: HeldLock | null): Promise<void> {
    if (lock) this.#give(id, lock)
    else this.#page.granted(id, null)
    return new Promise((resolve) => this.#callbacks.set(id, resolve))
  }

  /** The page no longer has this lock. */
  #take(id: number): HeldLock | Guard | undefined {
    const given = this.#given.get(id)
    given?.forget()
    this.#given.delete(id)
    return given?.lock
  }

  #listener(id: number): ReleaseListener {
    return (ask, who) => void this.#page.asked(id, ask, who)
  }

  #pulse(): Pulse {
    // A lock that is in doubt here, as after a sleep, is not reported to the page as held.
    const believed = [...this.#given].filter(([, { lock }]) => lock.isHeld())
    const until = believed.map(([id, { hold }]) => [id, this.#contact.onPage(hold.deadline)] as const)
    return { session: this.#locks.session, drift: this.#contact.drift, until }
  }
}

const termsOf = (options: { readonly terms?: Pick<AcquireOptions, 'duration' | 'metadata' | 'maxHold'> }) => options.terms ?? {}

async function answer<T>(act: () => Promise<T>): Promise<Answer<T>> {
  try {
    return { value: await act() }
  } catch (error) {
    return error === calledOff ? { calledOff: true } : { error: encodeError(error) }
  }
}
