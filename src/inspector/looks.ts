import type { Locks, LocksSnapshot } from '../locks/types.ts'
import { type Change, changesBetween, nameOf } from './changes.ts'
import type { Seen } from './cycle-view.ts'
import { type Row, rowsOf } from './rows.ts'
import { cyclesIn, idOf } from './waits.ts'

/** What one look showed. */
export interface Sight {
  readonly snapshot: LocksSnapshot
  readonly rows: ReadonlyMap<string, Row>
  readonly cycles: readonly Seen[]
  /** Since the look before. */
  readonly changes: readonly Change[]
}

/** Looks at locks again and again. */
export class Looks {
  /** How long after a look the next one follows, in ms; later if looks take long, so that the inspector is no burden. */
  interval = 500
  readonly #locks: Pick<Locks, 'query'>
  readonly #saw: (sight: Sight) => void
  readonly #failed: (error: unknown) => void
  #timer: ReturnType<typeof setTimeout> | undefined
  #running = false
  #looking = false
  #rows: ReadonlyMap<string, Row> | undefined
  /** Since when each cycle is there, in ms of the monotonic clock. */
  #since: ReadonlyMap<string, number> = new Map()

  constructor(locks: Pick<Locks, 'query'>, saw: (sight: Sight) => void, failed: (error: unknown) => void) {
    this.#locks = locks
    this.#saw = saw
    this.#failed = failed
  }

  /** Goes on, or stops. */
  run(running: boolean): void {
    if (this.#running === running) return
    this.#running = running
    this.soon(0)
  }

  /** The next look follows after so many ms. */
  soon(ms: number): void {
    clearTimeout(this.#timer)
    if (this.#running) this.#timer = setTimeout(() => this.#look(), ms)
  }

  async #look(): Promise<void> {
    // The look under way is followed by another one.
    if (this.#looking) return
    this.#looking = true
    const begun = performance.now()
    try {
      const snapshot = await this.#locks.query()
      if (this.#running) this.#saw(this.#compare(snapshot))
    } catch (error) {
      if (this.#running) this.#failed(error)
    } finally {
      this.#looking = false
      this.soon(Math.max(this.interval, 5 * (performance.now() - begun)))
    }
  }

  #compare(snapshot: LocksSnapshot): Sight {
    const rows = rowsOf(snapshot)
    // At the first look nothing has changed.
    const changes = this.#rows ? changesBetween(this.#rows, rows) : []
    this.#rows = rows
    const labels = new Map([...snapshot.held, ...snapshot.pending].map((party) => [party.session, nameOf(party)]))
    const now = performance.now()
    const cycles = cyclesIn(snapshot).map((cycle) => ({
      ...{ cycle, since: this.#since.get(idOf(cycle)) ?? now },
      nameOf: (session: string) => labels.get(session) ?? session,
    }))
    this.#since = new Map(cycles.map(({ cycle, since }) => [idOf(cycle), since]))
    return { snapshot, rows, cycles, changes }
  }
}
