import type { Limits } from './options.ts'

/** The limits on what one credential has at once. */
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

/** What each credential, or each address where there are no credentials, has of the server at this moment. */
export class Budgets {
  readonly #limits: Limits
  readonly #refused: (limit: Budget) => void
  readonly #used = new Map<Budget, Map<string, number>>()

  /** @param refused hears of each time that a limit was in the way */
  constructor(limits: Limits, refused: (limit: Budget) => void) {
    this.#limits = limits
    this.#refused = refused
  }

  used(who: string, limit: Budget): number {
    return this.#used.get(limit)?.get(who) ?? 0
  }

  /** Whether one more is left. */
  has(who: string, limit: Budget): boolean {
    const is = this.used(who, limit) < this.#limits[limit]
    if (!is) this.#refused(limit)
    return is
  }

  /** Whether so much, which is counted elsewhere, is no more than a limit. */
  within(limit: Budget, amount: number): boolean {
    const is = amount <= this.#limits[limit]
    if (!is) this.#refused(limit)
    return is
  }

  /** Takes so much more of a budget. @returns whether that was left */
  take(who: string, limit: Budget, amount = 1): boolean {
    if (this.used(who, limit) + amount > this.#limits[limit]) {
      this.#refused(limit)
      return false
    }
    this.force(who, limit, amount)
    return true
  }

  /** Counts what nobody can refuse any more. */
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

/** Whose budget a caller uses. */
export const whoOf = ({ name, address }: { readonly name: string; readonly address: string | undefined }): string => name || address || ''
