/** Returns a number from 0 (included) to 1 (excluded). */
export type Random = () => number

/** Random numbers from a seed: the same seed makes the same choices (mulberry32). */
export function seeded(seed: number): Random {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export const between = (random: Random, least: number, most: number): number => least + random() * (most - least)

/** One of the items. There must be at least one. */
export const pick = <T>(random: Random, of: readonly T[]): T => of[Math.floor(random() * of.length)] as T

/** The same items in random order. */
export function shuffled<T>(random: Random, of: readonly T[]): T[] {
  const left = [...of]
  return of.map(() => left.splice(Math.floor(random() * left.length), 1)[0] as T)
}
