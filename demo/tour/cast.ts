import type { Mode, Tally } from '../model/counters.ts'
import type { Order } from '../model/reports.ts'

/** Workers that share one store, as the tour directs them. */
export interface Cast {
  readonly title: string
  readonly names: readonly string[]
  order(to: string, order: Order): void
  /** Kills a worker in a way that it cannot prevent, and reports this. */
  crash(name: string): Promise<void>
  /** Lets a hung worker go on, if it does not do so by itself. */
  wake(name: string): Promise<void>
  tallies(): Promise<Record<Mode, Tally>>
  close(): Promise<void>
}
