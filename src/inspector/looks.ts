import type { Locks, LocksSnapshot } from '../locks/types.ts'
import { type Change, changesBetween, nameOf } from './changes.ts'
import type { Seen } from './cycle-view.ts'
import { type Row, rowsOf } from './rows.ts'
import { cyclesIn, idOf } from './waits.ts'

/** The result of one look. */
export interface Sight {
  readonly snapshot: LocksSnapshot
  readonly rows: ReadonlyMap<string, Row>
  readonly cycles: readonly Seen[]
  /** Since the previous look. */
  readonly changes: readonly Change[]
}

/** Looks at the locks periodically. */
export class Looks {
  /** How long after a look the next one follows, in ms. At least five times as long as a look takes, to keep the load on the store low. */
  interval = 500
  readonly #locks: Pick<Locks, 'query'>
  readonly #saw: (sight: Sight) => void
  readonly #failed: (error: unknown) => void
  #timer: ReturnType<typeof setTimeout> | undefined
  #running = false
  #looking = false
  #rows: ReadonlyMap<string, Row> | undefined
  /** When each cycle was first seen, in ms of the monotonic clock. */
  #since: ReadonlyMap<string, number> = new Map()

  constructor(locks: Pick<Locks, 'query'>, saw: (sight: Sight) => void, failed: (error: unknown) => void) {
    this.#locks = locks
    this.#saw = saw
    this.#failed = failed
  }

  /** Starts or stops looking. */
  run(running: boolean): void {
    if (this.#running === running) return
    this.#running = running
    this.soon(0)
  }

  /** Makes the next look after this many ms. */
  soon(ms: number): void {
    clearTimeout(this.#timer)
    if (this.#running) this.#timer = setTimeout(() => this.#look(), ms)
  }

  async #look(): Promise<void> {
    // The look in progress schedules the next one when it ends.
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
    // The first look has nothing to compare with.
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
