import type { Held, Process, World } from './parts.ts'

type Fate = 'let go' | 'robbed' | 'evicted'

interface Belief {
  readonly process: Process
  readonly locks: Set<Held>
  /** Renewed by its user alone, or too short for its store: it may end by itself. */
  readonly passing: boolean
  robbed: boolean
}

interface Stale {
  readonly belief: Belief
  readonly name: string
  readonly fate: Fate
  /** On its owner's clock, in ms: when its owner must know at the latest. */
  readonly until: number
}

/** Compares what processes believe that they hold with what the store says. */
export class Beliefs {
  readonly #world: World
  readonly #believed = new Map<string, Belief>()
  /** By key and token, what was given out. */
  readonly #given = new Set<string>()
  /** What became of holds that the store names no more. */
  readonly #fates = new Map<string, Fate>()
  /** What the store names no more, and a process may yet take for its own. */
  #stale: Stale[] = []

  constructor(world: World) {
    this.#world = world
  }

  /** A process was given a lock. */
  got(process: Process, lock: Held, passing: boolean): void {
    const { key } = lock
    process.log(() => `got ${key} with token ${lock.token}`)
    const token = this.#world.ledger.grantOf(key, lock.token, lock.session)
    if (token === undefined) this.#world.fail(`${process.name} was given ${key} with token ${lock.token}, which the store never granted`)
    const name = `${key} ${token}`
    if (token !== lock.token) this.#world.count('told', 'used again')
    if ('renew' in lock) this.#isNew(process, lock)
    const fate = this.#fates.get(name)
    if (lock.signal.aborted) {
      // News of a grant may come after news that it was stolen.
      if (fate !== 'robbed') this.#world.fail(`${process.name} was given ${key} with token ${token} after it had ended`)
      return
    }
    const belief = this.#believed.get(name) ?? { process, locks: new Set(), passing, robbed: false }
    this.#believed.set(name, belief)
    belief.locks.add(lock)
    const gone = (): void => {
      belief.locks.delete(lock)
      if (!belief.locks.size) this.#believed.delete(name)
      const { code } = lock.signal.reason
      process.log(() => `${code === 'lost' ? lock.signal.reason.message : `let go of ${key} ${token}`}`)
      if (code === 'lost') this.#lost(belief, name)
    }
    lock.signal.addEventListener('abort', gone)
    if (fate) this.#doubt(belief, name, fate)
  }

  #isNew(process: Process, lock: Held): void {
    const name = `${lock.key} ${lock.token}`
    if (this.#given.has(name)) this.#world.fail(`${process.name} was given ${lock.key} with token ${lock.token} for the second time`)
    this.#given.add(name)
  }

  /** The store names a hold no more. */
  removed(key: string, token: number, fate: Fate): void {
    const name = `${key} ${token}`
    this.#fates.set(name, fate)
    const belief = this.#believed.get(name)
    if (belief) this.#doubt(belief, name, fate)
  }

  #doubt(belief: Belief, name: string, fate: Fate): void {
    if (fate === 'robbed') belief.robbed = true
    const { process } = belief
    const longest = 3 * this.#world.shape.duration
    this.#stale.push({ belief, name, fate, until: process.clock.monotonic() + (fate === 'robbed' ? longest : 0) })
  }

  /** Nobody who runs may take for his what the store has given away. */
  check(): void {
    if (!this.#stale.length) return
    this.#stale = this.#stale.filter(({ belief: { process, locks }, name, fate, until }) => {
      if (process.dead || !locks.size) return false
      if (!process.running || process.clock.monotonic() < until || !this.#world.shape.timely) return true
      for (const lock of [...locks]) if (lock.isHeld()) this.#world.fail(`${process.name} believes that it holds ${name}, which was ${fate}`)
      return locks.size > 0
    })
  }

  /** Whoever is well loses nothing, but to those who may take it. */
  #lost({ process, passing, robbed }: Belief, name: string): void {
    const { shape } = this.#world
    if (!passing && !robbed && shape.timely && process.isWell(3 * shape.duration)) this.#world.fail(`${process.name} lost ${name} though it was well`)
  }

  /** All locks that a process has. */
  of(process: Process): Held[] {
    return [...this.#believed.values()].filter((belief) => belief.process === process).flatMap(({ locks }) => [...locks])
  }
}
