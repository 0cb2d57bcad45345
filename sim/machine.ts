import type { Timeline } from './timeline.ts'

/** What the processes on one computer share: its sleep and its wall clock. */
export class Machine {
  /** Whether its monotonic clocks run while it sleeps. */
  readonly countsSleep: boolean
  asleep = false
  /** The offset of its wall clock, in ms. It changes when the clock is set. */
  wall: number
  /** How often it has gone to sleep. */
  sleeps = 0
  readonly #timeline: Timeline
  #slept = 0
  #since = 0

  constructor(timeline: Timeline, countsSleep: boolean, wall: number) {
    this.#timeline = timeline
    this.countsSleep = countsSleep
    this.wall = wall
  }

  /** How long it has been awake, in ms. */
  get awake(): number {
    return (this.asleep ? this.#since : this.#timeline.now) - this.#slept
  }

  sleep(): void {
    this.asleep = true
    this.sleeps++
    this.#since = this.#timeline.now
  }

  wake(): void {
    this.asleep = false
    this.#slept += this.#timeline.now - this.#since
  }
}
