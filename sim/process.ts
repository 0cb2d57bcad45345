import type { Clock } from '../src/locks/clock.ts'
import { createLocks } from '../src/locks/create.ts'
import type { Locks } from '../src/locks/types.ts'
import { storedKey } from '../src/protocol/index.ts'
import { Link } from './link.ts'
import { Page } from './page.ts'
import type { Process as Member, Traits, World } from './parts.ts'

/** A tab, worker or process. It runs the unchanged library, with its own clocks, event loop and connection. */
export class Process implements Member {
  readonly name: string
  readonly world: World
  readonly traits: Traits
  readonly clock: Clock
  page: Page | undefined
  link!: Link
  locks!: Locks
  dead = false
  closing = false
  /** The number of its browser's lock manager. */
  lockManager = 0
  /** How many BroadcastChannels it has open. A page that is left with an open one cannot come back from the cache. */
  channels = 0
  /** Each command and key by which its users have ever meant to take a lock from another session. */
  readonly meant = new Set<string>()
  /** Stopped, as by SIGSTOP, a breakpoint or the freezing of a tab. No code runs, and its beacon stays up. */
  stopped = false
  /** The time until which a fault may cost it a lock, in ms of its machine's awake time. */
  troubledAt = -Infinity
  /** The number of calls and answers after which it dies. */
  fuse = Infinity
  #waiting: (() => void)[] = []

  constructor(world: World, name: string, traits: Traits) {
    this.world = world
    this.name = name
    this.traits = traits
    const start = world.chance.between(0, 1_000_000)
    const { machine, rate } = traits
    this.clock = {
      now: () => Math.floor(world.timeline.now * rate + machine.wall),
      monotonic: () => start + (machine.countsSleep ? world.timeline.now : machine.awake) * rate,
      after: (ms, run) => this.#after(ms, run),
      random: world.chance.next,
    }
    world.everyone.set(name, this)
    this.open()
  }

  get running(): boolean {
    return !this.dead && !this.stopped && !this.traits.machine.asleep
  }

  /** The key under which the store keeps a lock of this process. */
  keyOf(name: string): string {
    return storedKey(this.traits.options.namespace ?? '', name)
  }

  /** Makes a new instance of the library, as after a reload. */
  open(): void {
    const { world, clock, name } = this
    const { duration, maxBackoff } = world.shape
    this.closing = false
    this.lockManager = world.lockManager
    this.link = new Link(this)
    const make = (): Locks =>
      createLocks({
        ...this.traits.options,
        store: this.link,
        duration,
        maxBackoff,
        label: name,
        clock,
        onWarning: () => world.count('told', 'warning'),
      })
    this.page = this.traits.isPage ? new Page() : undefined
    this.locks = this.page ? this.page.during(make) : make()
  }

  /** Runs a task that comes from outside: now, or when the process runs again. */
  enter(task: () => void): void {
    if (this.dead) return
    if (!this.running) this.#waiting.push(task)
    else if (--this.fuse <= 0) this.world.crash(this)
    else task()
  }

  /** Runs a task that sends something out. A process that stops in the middle of its work sends the rest later. */
  leave(task: () => void): void {
    if (this.running && --this.fuse <= 0) this.world.crash(this)
    this.enter(task)
  }

  /** Throws now and then, if its channel is brittle. */
  strain(): void {
    if (this.traits.channel !== 'brittle' || !this.world.chance.maybe(0.3)) return
    this.world.count('faults', 'channel throws')
    throw new Error('no more descriptors')
  }

  stop(): void {
    this.stopped = true
    this.trouble()
  }

  resume(): void {
    this.stopped = false
    this.trouble()
    this.catchUp()
  }

  /** Runs the tasks that arrived while the process did not run, each in a turn of its own. */
  catchUp(): void {
    for (const task of this.#waiting.splice(0)) this.world.timeline.after(0, () => this.enter(task))
  }

  /** Records a fault whose effects last for `ms`. */
  trouble(ms = 0): void {
    this.troubledAt = Math.max(this.troubledAt, this.traits.machine.awake + ms)
  }

  /** Whether it had no faults for this many ms of running time. */
  isWell(ms: number): boolean {
    return this.running && this.troubledAt + ms < this.traits.machine.awake
  }

  log(text: () => string): void {
    this.world.log(this.name, text)
  }

  /** Waits on its own clock. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.#after(ms, resolve))
  }

  #after(ms: number, run: () => void): () => void {
    const { timeline, chance } = this.world
    const due = this.clock.monotonic() + Math.max(0, ms)
    let off = false
    let callOff: () => void
    const arm = (): void => {
      const late = chance.next() * 2
      callOff = timeline.after(Math.max(0, due - this.clock.monotonic()) / this.traits.rate + late, () => this.enter(ring))
    }
    const ring = (): void => {
      if (off) return
      // The clock stood still for a while.
      if (this.clock.monotonic() < due) arm()
      else run()
    }
    arm()
    return () => {
      off = true
      callOff()
    }
  }
}
