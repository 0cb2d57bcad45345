import { alternate, type Measured, type Side } from '../rounds.ts'

/** This checkout, the other, and this one once more. A difference between the first and the last is noise. */
const trees = ['ours', 'theirs', 'again'] as const
export type Tree = (typeof trees)[number]

/** Measures the bundles, in the order in which they were loaded. */
export async function compareTrees(place: string, rounds: number): Promise<Record<string, Measured<Tree>>> {
  const opened = await Promise.all((globalThis.trees ?? []).map((open, index) => open(`${place}-${index}`)))
  const measured: Record<string, Measured<Tree>> = {}
  for (const figure of Object.keys(opened[0]?.sides ?? {})) {
    const sides = Object.fromEntries(trees.map((tree, index) => [tree, opened[index]?.sides[figure]])) as Record<Tree, Side>
    measured[figure] = await alternate(sides, rounds)
  }
  for (const each of opened) await each.close()
  return measured
}

declare global {
  // A global, since a page is driven by scripts as text.
  var compare: typeof compareTrees
}
globalThis.compare = compareTrees
