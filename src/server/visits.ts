import type { Caller } from './access.ts'
import { type Fault, tooMany } from './answers.ts'
import { type Budgets, whoOf } from './budgets.ts'
import type { Limits } from './options.ts'

/** One request, from when it was admitted until its answer has been sent or its connection is gone. */
export interface Visit {
  /** Counts bytes of the request or its answer. @returns a fault if there are too many */
  carry(bytes: number): Fault | undefined
  end(): void
}

/** Counts what each credential has pending: requests, and the bytes of them and their answers. */
export function makeVisits(budgets: Budgets, limits: Limits): (caller: Caller) => Visit | Fault {
  return (caller) => {
    const who = whoOf(caller)
    if (!budgets.take(who, 'pending')) return tooMany(limits, 'pending')
    let carried = 0
    let ended = false
    return {
      carry(bytes) {
        if (ended) return undefined
        if (!budgets.take(who, 'traffic', bytes)) return tooMany(limits, 'traffic')
        carried += bytes
        return undefined
      },
      end() {
        if (ended) return
        ended = true
        budgets.give(who, 'pending')
        budgets.give(who, 'traffic', carried)
      },
    }
  }
}

/** The declared length of a body; the longest possible if there is none. */
export const lengthOf = (contentLength: string | null | undefined, limits: Limits): number =>
  contentLength === null || contentLength === undefined ? limits.body : Math.min(Number(contentLength) || 0, limits.body)
