import type { Clock } from '../src/locks/clock.ts'
import { createLocks } from '../src/locks/create.ts'
import type { Locks } from '../src/locks/types.ts'
import { storedKey } from '../src/protocol/index.ts'
import { Link } from './link.ts'
import { Page } from './page.ts'
import type { Process as Member, Traits, World } from './parts.ts'

/** A tab, worker or process: the library as it is, with clocks, an event loop and a connection of its own. */
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
  /** Which of the browser's lock managers it has. */
  lockManager = 0
  /** Engine's channels that it has open: with one, a page that is left does not come back as it was. */
  channels = 0
  /** What its users have ever asked for that takes a lock from others: the command and the key. */
  readonly meant = new Set<string>()
  /** As SIGSTOP, a breakpoint or a frozen tab does: nothing runs, and its beacon stays lit. */
  stopped = false
  /** When anything last went wrong with it that may cost it a lock, or will have, by how long its machine was awake: in ms. */
  troubledAt = -Infinity
  /** It dies after so many more calls and answers. */
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

  /** The key under which the store keeps a lock of this process's. */
  keyOf(name: string): string {
    return storedKey(this.traits.options.namespace ?? '', name)
  }

  /** A new instance of the library, as after a reload. */
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

  /** What comes in from outside: now, or when the process runs again. */
  enter(task: () => void): void {
    if (this.dead) return
    if (!this.running) this.#waiting.push(task)
    else if (--this.fuse <= 0) this.world.crash(this)
    else task()
  }

  /** What goes out to others; a process that stops in the middle of its work says the rest later. */
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

  /** Does what waited while it did not run, each in its own turn. */
  catchUp(): void {
    for (const task of this.#waiting.splice(0)) this.world.timeline.after(0, () => this.enter(task))
  }

  /** Notes that something goes wrong with it, for so many ms more. */
  trouble(ms = 0): void {
    this.troubledAt = Math.max(this.troubledAt, this.traits.machine.awake + ms)
  }

  /** Whether nothing has gone wrong with it for so many ms that it could have used. */
  isWell(ms: number): boolean {
    return this.running && this.troubledAt + ms < this.traits.machine.awake
  }

  log(text: () => string): void {
    this.world.log(this.name, text)
  }

  /** On its own clock. */
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
      // The clock stood still meanwhile.
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
