import { describe, expect, test } from 'vitest'
import type { HeldLock } from '../../src/locks/types.ts'
import { duration, lease, type Process, settle, World } from './world.ts'

/** The same numbers for the same seed. */
function chance(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Processes that take locks while everything that may go wrong does. */
class Simulation {
  readonly world = new World()
  readonly random: () => number
  readonly faults: string[] = []
  readonly tokens = new Map<string, number>()
  alive: Process[] = []
  locks: { lock: HeldLock; process: Process }[] = []
  calls: Process[] = []
  granted = 0

  constructor(seed: number) {
    this.random = chance(seed)
    for (let count = 0; count < 4; count++) this.join()
  }

  below(limit: number): number {
    return Math.floor(this.random() * limit)
  }

  one<T>(items: readonly T[]): T | undefined {
    return items[this.below(items.length)]
  }

  join(): void {
    const { random, world } = this
    const process = world.process({ random, channel: random() < 0.7, beacon: random() < 0.6 })
    if (random() < 0.5) process.link.latency = () => this.below(20)
    this.alive.push(process)
  }

  ask(process: Process): void {
    const key = this.one(['k', 'k', 'l']) as string
    const mode = this.random() < 0.3 ? 'shared' : 'exclusive'
    const renew = this.random() < 0.2 ? 'manual' : 'auto'
    const options = {
      mode,
      renew,
      ...(this.random() < 0.5 && { timeout: 1 + this.below(3 * lease) }),
      ...(this.random() < 0.2 && { duration: 600 }),
    } as const
    this.calls.push(process)
    const done = (): unknown => this.calls.splice(this.calls.indexOf(process), 1)
    process.locks.acquire(key, options).then(
      (lock) => {
        done()
        this.granted++
        this.locks.push({ lock, process })
        if (lock.token <= (this.tokens.get(`${key} ${mode}`) ?? 0) && mode === 'exclusive')
          this.faults.push(`token ${lock.token} of ${key} was not the highest`)
        this.tokens.set(`${key} ${mode}`, lock.token)
        this.check()
      },
      (error) => {
        done()
        if (!['timeout', 'store'].includes(error.code)) this.faults.push(`acquire: ${error}`)
      },
    )
  }

  /** How many wait of those that live. */
  get waiting(): number {
    return this.calls.filter((process) => this.alive.includes(process)).length
  }

  /** No exclusive lock is held beside another of its name. What a crashed process believes does not count: it runs no more. */
  check(): void {
    this.locks = this.locks.filter(({ lock, process }) => this.alive.includes(process) && !lock.signal.aborted)
    const held = this.locks.filter(({ lock }) => lock.isHeld())
    for (const { lock } of held) {
      const beside = held.filter(
        (other) => other.lock !== lock && other.lock.name === lock.name && (lock.mode === 'exclusive' || other.lock.mode === 'exclusive'),
      )
      if (beside.length)
        this.faults.push(
          `at ${this.world.base.monotonic()} ${lock.name} is held with ${[lock, ...beside.map(({ lock }) => lock)].map(({ token }) => token)}`,
        )
    }
  }

  async step(): Promise<void> {
    const { random, world } = this
    const process = this.one(this.alive) as Process
    const running = !process.gate.shut
    const dice = random()
    if (dice < 0.35 && running && this.waiting < 20) this.ask(process)
    else if (dice < 0.6)
      this.one(this.locks.filter((each) => !each.process.gate.shut))
        ?.lock.release()
        .catch(() => {})
    else if (dice < 0.65)
      this.one(this.locks.filter((each) => !each.process.gate.shut))
        ?.lock.renew(random() < 0.5 ? undefined : 2_000)
        .catch(() => {})
    else if (dice < 0.72) process.stop()
    else if (dice < 0.8) process.resume()
    else if (dice < 0.82) {
      process.crash()
      this.alive = this.alive.filter((each) => each !== process)
      this.join()
    } else if (dice < 0.88) process.link.break(this.one(['fail', 'lose', 'mute', 'stall'] as const) as 'fail')
    else if (dice < 0.94) {
      process.link.mend()
      await process.link.deliver()
    } else if (dice < 0.95 && running) process.link.loseBeacon()
    else if (dice < 0.97) process.wall += (random() - 0.5) * 10 * lease
    else if (dice < 0.98) world.stepWall((random() - 0.5) * 10 * lease)
    else if (dice < 0.985) await world.sleep(this.below(2 * lease))
    await world.pass(random() < 0.5 ? this.below(30) : this.below(duration))
    this.check()
  }

  /** All that is broken is mended, and everyone lets go of what they get. */
  async end(): Promise<void> {
    const { world } = this
    for (const each of this.alive) {
      each.resume()
      each.link.mend()
      await each.link.deliver()
    }
    for (let round = 0; round < 200 && (this.waiting || this.locks.length); round++) {
      await world.pass(100)
      this.check()
      for (const { lock } of this.locks) lock.release().catch(() => {})
      await settle()
      this.check()
    }
    // What a crashed process left behind lapses when somebody wants the lock.
    for (const key of ['k', 'l']) {
      const taken = this.alive[0]?.locks.request(key, { timeout: 10 * lease }, () => {})
      taken?.catch(() => {})
      await world.pass(10 * lease)
      await taken
    }
  }

  /** Holds and places in line of living processes, of which nobody knows. */
  async left(): Promise<unknown[]> {
    const living = this.alive.map(({ locks }) => locks.session)
    const views = await this.world.store.list()
    return views.flatMap(({ holders, queue }) => [...holders, ...queue]).filter(({ session }) => living.includes(session))
  }
}

describe('whatever goes wrong', () => {
  const seeds = Number(process.env.SEEDS ?? 60)
  const from = Number(process.env.FROM ?? 1)

  test.each(Array.from({ length: seeds }, (_, index) => from + index))(
    'a lock has one holder, tokens rise, and nobody waits for ever: run %d',
    async (seed) => {
      const simulation = new Simulation(seed)
      for (let step = 0; step < 80; step++) await simulation.step()
      await simulation.end()
      expect(simulation.faults).toEqual([])
      expect(simulation.waiting).toBe(0)
      expect(await simulation.left()).toEqual([])
    },
  )
})
