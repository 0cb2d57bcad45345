import type { Held, Process, World } from './parts.ts'

type Fate = 'let go' | 'robbed' | 'evicted'

interface Belief {
  readonly process: Process
  readonly locks: Set<Held>
  /** Whether the lock may end by itself, because only its user renews it, or because it is too short for its store. */
  readonly passing: boolean
  robbed: boolean
}

interface Stale {
  readonly belief: Belief
  readonly name: string
  readonly fate: Fate
  /** The latest time at which the owner must know, on the owner's clock, in ms. */
  readonly until: number
}

/** Compares the locks that processes believe they hold with the store's records. */
export class Beliefs {
  readonly #world: World
  readonly #believed = new Map<string, Belief>()
  /** The locks that were given out, by key and token. */
  readonly #given = new Set<string>()
  /** How the holds ended that the store no longer names. */
  readonly #fates = new Map<string, Fate>()
  /** Holds that the store no longer names but that a process may still believe in. */
  #stale: Stale[] = []

  constructor(world: World) {
    this.#world = world
  }

  /** Call it when a process gets a lock. */
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
      // A process may hear of a grant after it has heard that the lock was stolen.
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

  /** Call it when the store no longer names a hold. */
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

  /** No running process may believe in a hold that the store has passed on. */
  check(): void {
    if (!this.#stale.length) return
    this.#stale = this.#stale.filter(({ belief: { process, locks }, name, fate, until }) => {
      if (process.dead || !locks.size) return false
      if (!process.running || process.clock.monotonic() < until || !this.#world.shape.timely) return true
      for (const lock of [...locks]) if (lock.isHeld()) this.#world.fail(`${process.name} believes that it holds ${name}, which was ${fate}`)
      return locks.size > 0
    })
  }

  /** A process without faults may lose a lock only by a steal or a revocation, or if the lock may end by itself. */
  #lost({ process, passing, robbed }: Belief, name: string): void {
    const { shape } = this.#world
    if (!passing && !robbed && shape.timely && process.isWell(3 * shape.duration)) this.#world.fail(`${process.name} lost ${name} though it was well`)
  }

  /** All locks that a process has. */
  of(process: Process): Held[] {
    return [...this.#believed.values()].filter((belief) => belief.process === process).flatMap(({ locks }) => [...locks])
  }
}
