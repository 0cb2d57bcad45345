import type { Entry } from './ledger.ts'
import type { Order, Report, Sight } from './messages.ts'

/** Half of the demo: some writers that share one store, and all that they have told so far. */
export interface Half {
  readonly title: string
  /** Who writes. */
  readonly names: readonly string[]
  readonly log: Log
  order(name: string, order: Order): void
  /** Ends a writer as no program can prevent. Resolves when it is gone. */
  kill(name: string): Promise<void>
  /** What a killed writer suffered, in a word or two. */
  readonly killed: string
  /** What a writer suffers that is ordered to stand still. */
  readonly stopped: string
  /** Lets a writer that stands still run on, where it does not by itself. */
  wake(name: string): void
  entries(): Promise<Entry[]>
  close(): Promise<void>
}

type Of<Type extends Report['type']> = Extract<Report, { type: Type }>

/** What the writers told, in the order in which it came. */
export class Log {
  readonly reports: Report[] = []
  readonly #listeners = new Set<(report: Report) => void>()
  sight: Sight = { waiting: [] }

  add(report: Report): void {
    if (report.type === 'sight') this.sight = report.sight
    else this.reports.push(report)
    for (const listener of [...this.#listeners]) listener(report)
  }

  of<Type extends Report['type']>(type: Type): Of<Type>[] {
    return this.reports.filter((report): report is Of<Type> => report.type === type)
  }

  listen(listener: (report: Report) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** What `pick` finds first in the reports to come. Rejects if it finds nothing within `ms`. */
  find<T>(what: string, pick: (report: Report) => T | undefined, ms = 20_000): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => settle(() => reject(new Error(`${what}: nothing of it after ${ms / 1_000} s`))), ms)
      const stop = this.listen((report) => {
        const found = pick(report)
        if (found !== undefined) settle(() => resolve(found))
      })
      const settle = (end: () => void) => {
        clearTimeout(timer)
        stop()
        end()
      }
    })
  }

  /** The next report of a type that passes `test`. */
  next<Type extends Report['type']>(type: Type, what: string, test: (report: Of<Type>) => boolean): Promise<Of<Type>> {
    return this.find(what, (report) => (report.type === type && test(report as Of<Type>) ? (report as Of<Type>) : undefined))
  }
}
