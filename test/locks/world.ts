import { afterEach, expect } from 'vitest'
import type { Clock } from '../../src/locks/clock.ts'
import { createLocks } from '../../src/locks/create.ts'
import type { LockWarning } from '../../src/locks/events.ts'
import type { Locks, LocksOptions } from '../../src/locks/types.ts'
import type { Command, LockError, LockView, Outcome, Sessions } from '../../src/protocol/index.ts'
import type { Beacon, Channel, Message, Part, Store } from '../../src/store.ts'
import { type MemoryStore, memoryStore } from '../../src/stores/memory.ts'
import { manualClock } from '../../src/testing/clock.ts'

/** The default duration of every process here, in ms. The lease is a third longer, and a beat is sent every tenth of the duration. */
export const duration = 1_200
export const lease = 1_600
export const beat = 120

const unhandled: unknown[] = []
process.on('unhandledRejection', (error) => unhandled.push(error))
process.on('uncaughtExceptionMonitor', (error) => unhandled.push(error))

afterEach(async () => {
  await settle()
  expect(unhandled.splice(0)).toEqual([])
})

/** Lets everything run that does not wait for a timer. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** The present state of a promise. */
export async function stateOf(promise: Promise<unknown>): Promise<'pending' | 'fulfilled' | 'rejected'> {
  let state: 'pending' | 'fulfilled' | 'rejected' = 'pending'
  promise.then(
    () => {
      state = 'fulfilled'
    },
    () => {
      state = 'rejected'
    },
  )
  await settle()
  return state
}

/** The error with which a promise rejects. */
export const errorOf = async (promise: Promise<unknown>): Promise<LockError> =>
  promise.then(
    () => {
      throw new Error('it was fulfilled')
    },
    (error) => error,
  )

/** One store and the time of day, shared by processes that each have their own session, connection and event loop. */
export class World {
  readonly base = manualClock()
  readonly store: MemoryStore
  /** How far the wall clock of the store's machine is off, in ms. */
  wall = 0
  readonly processes: Process[] = []

  constructor() {
    this.store = memoryStore({ now: () => this.base.now() + this.wall })
  }

  process(options: ProcessOptions = {}): Process {
    const made = new Process(this, options)
    this.processes.push(made)
    return made
  }

  /** Lets time pass, timer by timer. */
  async pass(ms: number): Promise<void> {
    await settle()
    await this.base.advance(ms)
    await settle()
  }

  /** Steps all wall clocks, as when somebody sets the time. */
  stepWall(ms: number): void {
    this.wall += ms
    for (const each of this.processes) each.wall += ms
  }

  /** Lets the machine sleep while its monotonic clocks run on, so that all timers are late. */
  async sleep(ms: number): Promise<void> {
    const running = this.processes.filter(({ gate }) => !gate.shut)
    for (const each of running) each.stop()
    await this.pass(ms)
    for (const each of running) each.resume()
    await settle()
  }

  /** The labels of a key's holders. */
  async holders(key = 'k'): Promise<(string | undefined)[]> {
    const view = await this.store.read(key)
    return view?.holders.map(({ session }) => view.sessions.get(session)?.label) ?? []
  }

  /** The runs in the queue of a key, as `label×count`. */
  async queue(key = 'k'): Promise<string[]> {
    const view = await this.store.read(key)
    return view?.queue.map(({ session, from, to }) => `${view.sessions.get(session)?.label}×${to - from + 1}`) ?? []
  }

  async record(key = 'k'): Promise<LockView> {
    const view = await this.store.read(key)
    if (!view) throw new Error(`there is no record of ${key}`)
    return view
  }
}

export interface ProcessOptions extends Omit<LocksOptions, 'store' | 'clock'> {
  channel?: boolean
  beacon?: boolean
  spansMachines?: boolean
  /** Its random numbers. 0.5 leaves every pause without jitter. */
  random?: () => number
  store?: Store
}

/** Holds back everything that reaches a process from outside while the process is stopped. */
export class Gate {
  shut = false
  #waiting: (() => void)[] = []

  enter(task: () => void): void {
    if (this.shut) this.#waiting.push(task)
    else task()
  }

  open(): void {
    this.shut = false
    for (const task of this.#waiting.splice(0)) task()
  }

  async pass<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) =>
      promise.then(
        (value) => this.enter(() => resolve(value)),
        (error) => this.enter(() => reject(error)),
      ),
    )
  }
}

/** Timers whose callbacks pass a gate, and which can be cancelled until the callback has passed it. */
export const throughGate =
  (base: Clock, gate: Gate): Clock['after'] =>
  (ms, run) => {
    let off = false
    const callOff = base.after(ms, () => gate.enter(() => off || run()))
    return () => {
      off = true
      callOff()
    }
  }

/** A tab, worker or process: `createLocks` with its own clock and its own connection. */
export class Process {
  readonly gate = new Gate()
  readonly link: Link
  readonly clock: Clock
  readonly locks: Locks
  readonly warnings: LockWarning[] = []
  /** How far its wall clock is off, in ms. */
  wall = 0

  constructor(world: World, { channel = true, beacon = true, spansMachines, random = () => 0.5, store = world.store, ...options }: ProcessOptions) {
    const { base } = world
    this.clock = {
      now: () => base.now() + this.wall,
      monotonic: () => base.monotonic(),
      after: throughGate(base, this.gate),
      random,
    }
    this.link = new Link(store, this.gate, this.clock, { channel, beacon, spansMachines })
    const onWarning = (warning: LockWarning): unknown => this.warnings.push(warning)
    this.locks = createLocks({ duration, maxBackoff: 100, onWarning, ...options, store: this.link, clock: this.clock })
  }

  /** Stops it like SIGSTOP, a breakpoint or a frozen tab: nothing runs, and its beacon stays up. */
  stop(): void {
    this.gate.shut = true
  }

  resume(): void {
    this.gate.open()
  }

  /** Kills it like SIGKILL: nothing runs any more, and its beacon goes out. */
  crash(): void {
    this.stop()
    this.link.putOut()
  }
}

/**
 * How a call to the store goes wrong. `fail`: it rejects and is not carried out; `hang`: it never settles and is not carried out; `lose`: it is
 * carried out, but rejects; `mute`: it is carried out at once, and settles at `deliver()`; `stall`: it is carried out and settles at `deliver()`.
 */
type Fault = 'fail' | 'hang' | 'lose' | 'mute' | 'stall'
type Call = Command['type'] | 'read'

/** One process's connection to the store, which tests can break. */
export class Link implements Store {
  readonly channel: Channel | undefined
  readonly beacon: Beacon | undefined
  readonly spansMachines: boolean | undefined
  /** Every command that was sent. */
  readonly sent: Command[] = []
  /** The sizes of the batches. */
  readonly batches: number[] = []
  /** The monotonic times at which reads were sent, in ms. */
  readonly reads: number[] = []
  error: Error = new Error('disk I/O error')
  /** How long a call takes to the store, and again back, in ms. */
  latency: (() => number) | undefined
  /** The addresses of all beacons it has ever watched, and the number that it watches now. */
  readonly watched: string[] = []
  watching = 0
  readonly #store: Store
  readonly #gate: Gate
  readonly #clock: Clock
  readonly #faults = new Map<Call | 'all', Fault>()
  #address: string | undefined
  #held: (() => void)[] = []

  constructor(store: Store, gate: Gate, clock: Clock, has: { channel: boolean; beacon: boolean; spansMachines: boolean | undefined }) {
    this.#store = store
    this.#gate = gate
    this.#clock = clock
    this.spansMachines = has.spansMachines
    this.channel = has.channel && store.channel ? this.#channel(store.channel) : undefined
    this.beacon = has.beacon && store.beacon ? this.#beacon(store.beacon) : undefined
  }

  /** Breaks all calls, or the calls with at least one of these. */
  break(fault: Fault, ...calls: Call[]): void {
    for (const call of calls.length ? calls : ['all' as const]) this.#faults.set(call, fault)
  }

  mend(): void {
    this.#faults.clear()
  }

  /** Lets the calls go on that `mute` and `stall` held up, in order. */
  async deliver(): Promise<void> {
    for (const next of this.#held.splice(0)) next()
    await settle()
  }

  count(type: Command['type']): number {
    return this.sent.filter((command) => command.type === type).length
  }

  /** Puts out the beacon that this process has raised, as its death would. */
  putOut(): void {
    if (this.#address !== undefined) (this.#store as MemoryStore).beacon.kill(this.#address)
  }

  /** Takes the beacon away from the process while it lives. */
  loseBeacon(): void {
    if (this.#address !== undefined) (this.#store as MemoryStore).beacon.lose(this.#address)
  }

  apply(commands: readonly Command[]): Promise<Outcome[]> {
    this.sent.push(...commands)
    this.batches.push(commands.length)
    return this.#call(
      commands.map(({ type }) => type),
      () => this.#store.apply(structuredClone(commands)),
    )
  }

  rows(sessions: readonly string[], key: string): Promise<Sessions | undefined> {
    return this.#call(['read'], () => this.#store.rows?.(sessions, key) ?? Promise.resolve(undefined))
  }

  read(key: string): Promise<LockView | undefined> {
    this.reads.push(this.#clock.monotonic())
    return this.#call(['read'], () => this.#store.read(key))
  }

  list(prefix?: string, part?: Part): Promise<LockView[]> {
    return this.#call(['read'], () => this.#store.list(prefix, part))
  }

  close(): Promise<void> {
    return this.#store.close()
  }

  async #call<T>(calls: Call[], act: () => Promise<T>): Promise<T> {
    const fault = calls.map((call) => this.#faults.get(call)).find((found) => found) ?? this.#faults.get('all')
    if (fault === 'fail') throw this.error
    if (fault === 'hang') return new Promise(() => {})
    if (fault === 'stall') await this.#holdUp()
    await this.#travel()
    const result = await this.#gate.pass(act())
    if (fault === 'lose') throw this.error
    if (fault === 'mute') await this.#holdUp()
    await this.#travel()
    return result
  }

  /** Waits for `deliver()`, unless the connection has been mended meanwhile. */
  async #holdUp(): Promise<void> {
    if (this.#faults.size) await new Promise<void>((resolve) => this.#held.push(resolve))
  }

  async #travel(): Promise<void> {
    const { latency } = this
    if (latency) await new Promise<void>((resolve) => void this.#clock.after(latency(), resolve))
  }

  #channel(channel: Channel): Channel {
    return {
      trusted: channel.trusted,
      publish: (topic, message) => channel.publish(topic, message),
      subscribe: (topic, listener) => channel.subscribe(topic, (message: Message) => this.#gate.enter(() => listener(message))),
    }
  }

  #beacon(beacon: Beacon): Beacon {
    return {
      raise: async (session) => {
        const raised = await beacon.raise(session)
        this.#address = raised.address
        return { ...raised, lost: this.#gate.pass(raised.lost) }
      },
      watch: (address, signal) => {
        this.watched.push(address)
        this.watching++
        signal.addEventListener('abort', () => this.watching--)
        return this.#gate.pass(beacon.watch(address, signal))
      },
      isOut: async (address) => (await beacon.isOut?.(address)) === true,
    }
  }
}

/** A store whose every call rejects with this error. */
export const brokenStore = (error: unknown): Store => ({
  apply: () => Promise.reject(error),
  read: () => Promise.reject(error),
  list: () => Promise.reject(error),
  close: async () => {},
})
