import type { Beacon } from '../src/store.ts'
import type { Process, World } from './parts.ts'

interface Lit {
  readonly session: string
  readonly process: Process
  readonly lockManager: number
  readonly lost: () => void
  readonly watchers: Set<() => void>
}

/** The system's proofs of life, on which beacons are based. They go out when a process dies, and now and then for a live process. */
export class Beacons {
  readonly #world: World
  readonly #lit = new Map<string, Lit>()
  #raised = 0

  constructor(world: World) {
    this.#world = world
  }

  /** A beacon that just fulfils the contract of stores. */
  of(process: Process): Beacon {
    return {
      raise: async (session) => {
        const address = `beacon-${++this.#raised}`
        let lose = (): void => {}
        const lost = new Promise<void>((resolve) => {
          lose = resolve
        })
        return { address, lost, lower: await this.light(process, address, session, lose) }
      },
      watch: (address, signal) => this.watch(process, address, signal),
      isOut: (address) => this.isOut(process, address),
    }
  }

  /**
   * Raises a beacon for a process. The system may refuse, or never answer.
   * @param lost called when a live process loses the beacon
   * @returns a function that lowers it
   */
  light(process: Process, address: string, session: string, lost: () => void): Promise<() => void> {
    const { chance, timeline } = this.#world
    return new Promise((resolve, reject) => {
      process.leave(() => {
        const fate = process.traits.raising === 'works' && chance.maybe(this.#world.noise) ? chance.one(['fails', 'late']) : process.traits.raising
        if (fate !== 'works') this.#world.count('faults', `raise: ${fate}`)
        if (fate === 'hangs') return
        if (fate !== 'fails') this.#lit.set(address, { session, process, lockManager: process.lockManager, lost, watchers: new Set() })
        const answer = fate === 'fails' ? () => reject(new Error('too many locks')) : () => resolve(() => process.leave(() => this.#putOut(address)))
        timeline.after(chance.next() * (fate === 'late' ? 2 * this.#world.shape.duration : process.traits.latency), () => process.enter(answer))
      })
    })
  }

  /** Resolves when a beacon is out. The news may be late, and the system may refuse to watch. */
  watch(process: Process, address: string, signal: AbortSignal): Promise<void> {
    const { chance, timeline } = this.#world
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const fault = chance.maybe(this.#world.noise) ? chance.one(['rejected', 'late']) : undefined
      const bring = (news: () => void): unknown => timeline.after(chance.next() * (fault === 'late' ? 5_000 : 10), () => process.enter(news))
      if (fault) this.#world.count('faults', `watch: ${fault}`)
      if (fault === 'rejected') return void bring(() => reject(new Error('too many locks')))
      const tell = (): void => void bring(resolve)
      if (this.#isOut(address, process)) return tell()
      const watchers = this.#lit.get(address)?.watchers
      watchers?.add(tell)
      signal.addEventListener('abort', () => {
        watchers?.delete(tell)
        reject(signal.reason)
      })
    })
  }

  /** Whether a beacon is out now. The answer may be late, and the system may refuse it. */
  isOut(process: Process, address: string): Promise<boolean> {
    const { chance, timeline } = this.#world
    return new Promise((resolve, reject) => {
      const fault = chance.maybe(this.#world.noise) ? chance.one(['rejected', 'late']) : undefined
      if (fault) this.#world.count('faults', `isOut: ${fault}`)
      const out = this.#isOut(address, process)
      const answer = (): void => (fault === 'rejected' ? reject(new Error('too many locks')) : resolve(out))
      timeline.after(chance.next() * (fault === 'late' ? 5_000 : 10), () => process.enter(answer))
    })
  }

  /** Puts out the beacons of a process that dies, unless its death cannot be noticed. */
  died(process: Process): void {
    for (const [address, lit] of [...this.#lit]) if (lit.process === process && !process.traits.silent) this.#putOut(address)
  }

  /** Puts out the beacons of a live process, which is notified as soon as it runs. */
  lose(process: Process): void {
    for (const [address, lit] of [...this.#lit]) {
      if (lit.process !== process) continue
      if (!process.running) this.#world.ledger.unaware(lit.session)
      process.enter(lit.lost)
      this.#putOut(address)
    }
  }

  /** Whether a session has a beacon. */
  isLit(session: string): boolean {
    return [...this.#lit.values()].some((lit) => lit.session === session)
  }

  /** The beacons that a process can see: those of its own lock manager. */
  seen(process: Process): string[] {
    return [...this.#lit.keys()].filter((address) => !this.#isOut(address, process))
  }

  #isOut(address: string, { lockManager }: Process): boolean {
    return this.#lit.get(address)?.lockManager !== lockManager
  }

  #putOut(address: string): void {
    const lit = this.#lit.get(address)
    if (!lit) return
    this.#lit.delete(address)
    this.#world.ledger.proved(lit.session)
    for (const tell of lit.watchers) tell()
  }
}
