import type { HeldInfo, LocksSnapshot, PendingInfo } from '../locks/types.ts'

/** Consecutive requests of one session that are alike. */
export interface Waiter extends PendingInfo {
  readonly count: number
}

/** A lock that is held or waited for. */
export interface Row {
  readonly name: string
  readonly holders: readonly HeldInfo[]
  /** In the order of the queue. */
  readonly queue: readonly Waiter[]
}

/** A snapshot grouped by lock, in the order of the locks' names. */
export function rowsOf({ held, pending }: LocksSnapshot): Map<string, Row> {
  const rows = new Map<string, { name: string; holders: HeldInfo[]; queue: Waiter[] }>()
  const row = (name: string) => {
    const found = rows.get(name) ?? { name, holders: [], queue: [] }
    rows.set(name, found)
    return found
  }
  for (const holder of held) row(holder.name).holders.push(holder)
  for (const waiter of pending) {
    const { queue } = row(waiter.name)
    const last = queue.at(-1)
    if (last && isLike(last, waiter)) queue.splice(-1, 1, { ...last, count: last.count + 1 })
    else queue.push({ ...waiter, count: 1 })
  }
  return new Map([...rows].sort(([a], [b]) => (a < b ? -1 : 1)))
}

const isLike = (one: PendingInfo, other: PendingInfo): boolean =>
  one.session === other.session && one.mode === other.mode && one.limit === other.limit && JSON.stringify(one.ask) === JSON.stringify(other.ask)

/** How a lock is held or requested, for people. */
export const kindOf = ({ mode, limit }: PendingInfo): string => (limit === undefined ? mode : `one of ${limit}`)
