import { Air } from './air.ts'
import { Beacons } from './beacons.ts'
import { Beliefs } from './beliefs.ts'
import { Chance } from './chance.ts'
import { Ledger } from './ledger.ts'
import { Machine } from './machine.ts'
import { forbidden, type World as Scene, type Shape, type Tally } from './parts.ts'
import { Process } from './process.ts'
import { PlainStore } from './store.ts'
import { Timeline } from './timeline.ts'

/** Processes that share a store, and all faults that may happen to them. The same seed always makes the same world and history. */
export class World implements Scene {
  readonly timeline = new Timeline()
  readonly chance: Chance
  readonly shape: Shape
  readonly machines: readonly Machine[]
  readonly store: PlainStore
  readonly ledger: Ledger = new Ledger(this)
  readonly beliefs: Beliefs = new Beliefs(this)
  readonly air: Air = new Air(this)
  readonly beacons: Beacons = new Beacons(this)
  readonly tally: Tally = { operations: {}, faults: {}, told: {} }
  /** A log of all events, if it is wanted. */
  readonly history: string[] | undefined
  /** The first promise that was broken. */
  failure: string | undefined
  /** Whether the world is quiet: users start nothing new and release all their locks. */
  quiet = false
  /** The number of the lock manager that a newly opened tab gets. */
  lockManager = 0
  /** The share of all hints and proofs that are disturbed. */
  noise = 0
  /** The live processes. */
  processes: Process[] = []
  /** All processes by name, dead ones too. */
  readonly everyone = new Map<string, Process>()
  #born = 0
  #hung: (() => void)[] = []

  constructor(seed: number, withHistory: boolean) {
    this.chance = new Chance(seed)
    this.history = withHistory ? [] : undefined
    // Not drawn from the random generator, so that worlds without a limit have the same histories as before there were limits.
    this.shape = shapeOf(this.chance, [undefined, undefined, 2, 3, undefined][seed % 5])
    const { chance, shape } = this
    // A computer whose clock has lost the time believes that it is 1970. Tokens then rise one by one.
    const wall = chance.maybe(0.3) ? 0 : 1_700_000_000_000
    // All monotonic clocks of a machine treat sleep in the same way, as on a real system.
    this.machines = Array.from({ length: shape.machines }, () => new Machine(this.timeline, chance.maybe(0.5), wall))
    this.store = new PlainStore(() => this.timeline.now + (this.machines[0] as Machine).wall)
    this.log('world', () => JSON.stringify({ ...shape, countSleep: this.machines.map(({ countsSleep }) => countsSleep) }))
  }

  /** Starts a process. */
  join(): Process {
    const { chance, shape } = this
    const alone = shape.machines === 1
    const process = new Process(this, `p${++this.#born}`, {
      machine: chance.one(this.machines) as Machine,
      rate: 1 + (chance.next() * 2 - 1) * shape.drift,
      channel: chance.weighted({ none: 3, brittle: 1, fine: 6 }),
      // A beacon is a proof only within one machine.
      beacon: alone && chance.maybe(0.7),
      raising: chance.weighted({ works: 8, fails: 1, hangs: 1 }),
      silent: chance.maybe(0.2),
      isPage: shape.kind !== 'sockets' && chance.maybe(shape.kind === 'tabs' ? 0.7 : 0.4),
      latency: chance.one([2, 5, 40, Math.min(0.04 * shape.duration, 0.2 * shape.maxBackoff)]),
      options: {
        expiry: chance.maybe(0.1) ? 'manual' : 'auto',
        ...(chance.maybe(0.1) && { namespace: 'other' }),
        ...(chance.maybe(0.4) && { linger: chance.one([0.02, 0.3, 1]) * shape.duration }),
        policy: { maxDuration: 3 * shape.duration, checkKey: (name) => (name === forbidden ? 'nobody may have it' : undefined) },
      },
    })
    this.processes.push(process)
    const { machine, rate, ...traits } = process.traits
    this.log(process.name, () => `starts: ${JSON.stringify(traits)}`)
    return process
  }

  /** Kills a process, as SIGKILL does. */
  crash(process: Process): void {
    if (process.dead) return
    this.log(process.name, () => 'dies')
    this.count('faults', 'crash')
    process.dead = true
    this.processes = this.processes.filter((each) => each !== process)
    this.beacons.died(process)
  }

  /** Holds back the answer to a call until all faults have ended. */
  hangs(process: Process, answer: () => void): void {
    if (this.quiet) {
      answer()
      return
    }
    process.trouble(Infinity)
    this.#hung.push(answer)
  }

  /** Clears the storage of all tabs, as a logout does. All sessions are gone, and later tabs have another lock manager. */
  clearStorage(): void {
    this.log('world', () => 'the storage is cleared')
    this.lockManager++
    for (const id of this.store.sessions) {
      this.ledger.unaware(id)
      this.ledger.proved(id)
      this.ledger.apply(undefined, [{ type: 'end', session: id }])
    }
    for (const process of this.processes) {
      process.trouble()
      process.enter(() => process.link.tear())
    }
  }

  suspend(machine: Machine): void {
    this.log('world', () => `machine ${this.machines.indexOf(machine)} sleeps`)
    machine.sleep()
  }

  wake(machine: Machine): void {
    this.log('world', () => `machine ${this.machines.indexOf(machine)} wakes`)
    machine.wake()
    for (const each of this.processes) if (each.traits.machine === machine) each.catchUp()
  }

  /** Ends all faults that can be ended. */
  mend(): void {
    this.log('world', () => 'all is mended')
    this.noise = 0
    for (const machine of this.machines) if (machine.asleep) this.wake(machine)
    for (const process of this.processes) {
      process.link.weather = 'fine'
      process.fuse = Infinity
      if (process.troubledAt === Infinity) process.troubledAt = process.traits.machine.awake
      if (process.stopped) process.resume()
    }
    for (const answer of this.#hung.splice(0)) answer()
  }

  count(kind: keyof Tally, name: string): void {
    this.tally[kind][name] = (this.tally[kind][name] ?? 0) + 1
  }

  log(who: string, text: () => string): void {
    this.history?.push(`${(this.timeline.now / 1_000).toFixed(4).padStart(10)} s  ${who.padEnd(5)}  ${text()}`)
  }

  /** Records a failure. Only the first counts, since it may cause the later ones. */
  fail(what: string): void {
    this.log('FAIL', () => what)
    this.failure ??= `at ${(this.timeline.now / 1_000).toFixed(4)} s: ${what}`
  }

  /** Lets time pass, and checks after every event. */
  async pass(ms: number): Promise<void> {
    if (this.failure !== undefined) return
    await this.timeline.pass(ms, () => {
      this.beliefs.check()
      return this.failure === undefined
    })
  }
}

function shapeOf(chance: Chance, limit: number | undefined): Shape {
  const drift = chance.weighted({ none: 4, some: 4, much: 1 })
  const machines = chance.maybe(0.7) ? 1 : 2 + chance.below(2)
  // No wall steps if machines sleep alone: a clock set back by exactly the time of a sleep would hide it from a process whose clock stood still.
  const sleepsAlone = machines > 1 && chance.maybe(0.5)
  return {
    // The tabs of a browser and the processes of a system are always on one machine.
    kind: machines === 1 ? chance.weighted({ tabs: 2, sockets: 2, any: 1 }) : 'any',
    duration: chance.one([10_000, 10_000, 3_000]),
    maxBackoff: chance.one([1_000, 1_000, 100]),
    machines,
    drift: { none: 0, some: 0.03, much: 0.2 }[drift],
    timely: drift !== 'much',
    wallSteps: !sleepsAlone,
    sleepsAlone,
    limit,
  }
}
