import type { Mode, Tally } from '../model/counters.ts'
import type { Order } from '../model/reports.ts'

/** Workers that share one store, as the tour directs them. */
export interface Cast {
  readonly title: string
  readonly names: readonly string[]
  order(to: string, order: Order): void
  /** Ends a worker as no program can prevent, and reports it. */
  crash(name: string): Promise<void>
  /** Lets a worker go on that stands still, where it does not by itself. */
  wake(name: string): Promise<void>
  tallies(): Promise<Record<Mode, Tally>>
  close(): Promise<void>
}
