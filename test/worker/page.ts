import type { Clock } from '../../src/locks/clock.ts'
import type { LockWarning } from '../../src/locks/events.ts'
import type { Locks } from '../../src/locks/types.ts'
import { expose, type WrapOptions, wrap } from '../../src/worker/index.ts'
import { Gate, type Process, throughGate, type World } from '../locks/world.ts'

type Listener = (event: { readonly data: unknown }) => void

/** One end of a connection whose messages a test can delay. */
class End {
  readonly listeners = new Set<Listener>()
  readonly #send: (message: unknown) => void

  constructor(send: (message: unknown) => void) {
    this.#send = send
  }

  postMessage(message: unknown): void {
    this.#send(structuredClone(message))
  }

  addEventListener(type: string, listener: unknown): void {
    if (type === 'message') this.listeners.add(listener as Listener)
  }

  removeEventListener(_: string, listener: unknown): void {
    this.listeners.delete(listener as Listener)
  }
}

export interface PageOptions extends WrapOptions {
  /** How far its monotonic clock is ahead of the worker's, in ms. */
  ahead?: number
  /** How long a message takes, in ms. */
  latency?: () => number
  /** The `maxSilence` of `expose`, in ms. */
  workerPatience?: number
  /** Whether the worker exposes no locks. */
  alone?: boolean
  /** Whether the page stops and resumes together with the worker. */
  sameThread?: boolean
}

/** A page whose locks a worker keeps. Page and worker each have their own event loop. */
export class Page {
  readonly gate: Gate
  readonly clock: Clock
  readonly locks: Locks
  readonly worker: Process
  readonly warnings: LockWarning[] = []
  readonly stop: (() => Promise<void>) | undefined
  /** How far its wall clock is off, in ms. */
  wall = 0
  /** While set, messages get lost, as when the worker is terminated. */
  cut = false

  constructor(world: World, worker: Process, options: PageOptions = {}) {
    const { ahead = 0, latency, workerPatience, alone, sameThread, ...wrapOptions } = options
    const { base } = world
    this.worker = worker
    this.gate = sameThread ? worker.gate : new Gate()
    this.clock = {
      now: () => base.now() + this.wall,
      monotonic: () => base.monotonic() + ahead,
      after: throughGate(base, this.gate),
      random: () => 0.5,
    }
    // Messages keep their order, however long each one takes.
    const pipe = (gate: Gate, to: () => End) => {
      let last = 0
      return (data: unknown): void => {
        if (this.cut) return
        const deliver = (): void => {
          for (const listener of [...to().listeners]) listener({ data })
        }
        const arrive = (): void => gate.enter(deliver)
        if (!latency) return void Promise.resolve().then(arrive)
        last = Math.max(last, base.monotonic() + latency())
        base.after(last - base.monotonic(), arrive)
      }
    }
    const pageEnd: End = new End(pipe(worker.gate, () => workerEnd))
    const workerEnd: End = new End(pipe(this.gate, () => pageEnd))
    this.stop = alone ? undefined : expose(worker.locks, workerEnd, workerPatience === undefined ? {} : { maxSilence: workerPatience })
    this.locks = wrap(pageEnd, { clock: this.clock, onWarning: (warning) => this.warnings.push(warning), ...wrapOptions })
  }

  /** Blocks its thread, as if it were busy or stopped: nothing runs here. */
  block(): void {
    this.gate.shut = true
  }

  resume(): void {
    this.gate.open()
  }
}
