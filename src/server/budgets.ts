import type { Limits } from './options.ts'

/** The limits on what one credential has at a time. */
export type Budget =
  | 'held'
  | 'waiters'
  | 'metadata'
  | 'record'
  | 'sessions'
  | 'keys'
  | 'senders'
  | 'topics'
  | 'sockets'
  | 'streams'
  | 'pending'
  | 'traffic'

/** What each credential, or each address if there are no credentials, uses of the server at this moment. */
export class Budgets {
  readonly #limits: Limits
  readonly #refused: (limit: Budget) => void
  readonly #used = new Map<Budget, Map<string, number>>()

  /** @param refused called each time a limit was reached */
  constructor(limits: Limits, refused: (limit: Budget) => void) {
    this.#limits = limits
    this.#refused = refused
  }

  used(who: string, limit: Budget): number {
    return this.#used.get(limit)?.get(who) ?? 0
  }

  /** Whether one more is allowed. */
  has(who: string, limit: Budget): boolean {
    const is = this.used(who, limit) < this.#limits[limit]
    if (!is) this.#refused(limit)
    return is
  }

  /** Whether an amount that is counted elsewhere is within a limit. */
  within(limit: Budget, amount: number): boolean {
    const is = amount <= this.#limits[limit]
    if (!is) this.#refused(limit)
    return is
  }

  /** Takes this much more of a budget. @returns whether that much was left */
  take(who: string, limit: Budget, amount = 1): boolean {
    if (this.used(who, limit) + amount > this.#limits[limit]) {
      this.#refused(limit)
      return false
    }
    this.force(who, limit, amount)
    return true
  }

  /** Counts what can no longer be refused. */
  force(who: string, limit: Budget, amount = 1): void {
    const of = this.#used.get(limit) ?? new Map<string, number>()
    const left = (of.get(who) ?? 0) + amount
    if (left > 0) this.#used.set(limit, of.set(who, left))
    else of.delete(who)
  }

  give(who: string, limit: Budget, amount = 1): void {
    this.force(who, limit, -amount)
  }
}

/** The owner of the budget that a caller uses. */
export const whoOf = ({ name, address }: { readonly name: string; readonly address: string | undefined }): string => name || address || ''
