import type { RaisedBeacon } from '../src/store.ts'
import type { Process } from './process.ts'
import type { World } from './world.ts'

interface Lit {
  readonly session: string
  readonly process: Process
  readonly lose: () => void
  readonly watchers: Set<() => void>
}

/** The system's proofs of life. */
export class Beacons {
  readonly #world: World
  readonly #lit = new Map<string, Lit>()
  #raised = 0

  constructor(world: World) {
    this.#world = world
  }

  raise(session: string, process: Process): RaisedBeacon {
    const address = `beacon-${++this.#raised}`
    let lose = (): void => {}
    const lost = new Promise<void>((resolve) => {
      lose = resolve
    })
    this.#lit.set(address, { session, process, lose, watchers: new Set() })
    return { address, lost, lower: () => process.leave(() => this.#putOut(address)) }
  }

  watch(address: string, process: Process, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const tell = (): void => void this.#world.timeline.after(this.#world.chance.next() * 10, () => process.enter(resolve))
      const watchers = this.#lit.get(address)?.watchers
      if (!watchers) return tell()
      watchers.add(tell)
      signal.addEventListener('abort', () => {
        watchers.delete(tell)
        reject(signal.reason)
      })
    })
  }

  /** The system takes the beacons of a process that dies; of a silent one nobody hears. */
  died(process: Process): void {
    for (const [address, lit] of [...this.#lit]) if (lit.process === process && !process.traits.silent) this.#putOut(address)
  }

  /** Takes a running process's beacons away, and tells it. */
  lose(process: Process): void {
    for (const [address, lit] of [...this.#lit]) {
      if (lit.process !== process) continue
      this.#world.ledger.proved(lit.session)
      lit.lose()
      this.#putOut(address)
    }
  }

  #putOut(address: string): void {
    const lit = this.#lit.get(address)
    if (!lit) return
    this.#lit.delete(address)
    this.#world.ledger.proved(lit.session)
    for (const tell of lit.watchers) tell()
  }
}
