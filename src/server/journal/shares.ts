import type { NewEntry } from '../journal.ts'

/** The client whose share of the history an entry belongs to. */
export const shareOf = ({ who, address }: Pick<NewEntry, 'who' | 'address'>): string => who ?? address ?? ''

/** How many entries each client loses, so that `excess` fewer are left: the clients with the most entries are cut to one level. */
export function dropsFrom(shares: ReadonlyMap<string, number>, excess: number): Map<string, number> {
  const sorted = [...shares].sort(([, a], [, b]) => b - a)
  const drops = new Map<string, number>()
  let above = 0
  for (const [index, [, count]] of sorted.entries()) {
    above += count
    const next = sorted[index + 1]?.[1] ?? 0
    // If cutting all clients down to here to the next one's level is not enough, the next one has to lose entries as well.
    if (above - next * (index + 1) < excess && index + 1 < sorted.length) continue
    const level = Math.floor((above - excess) / (index + 1))
    let rest = excess
    for (const [share, has] of sorted.slice(0, index + 1)) {
      const drop = Math.min(has - level, rest)
      drops.set(share, drop)
      rest -= drop
    }
    return drops
  }
  return drops
}
