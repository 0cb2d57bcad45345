import { scenes } from '../../model/client/scenes.ts'
import { clientSpace } from '../../model/client/space.ts'
import type { Parts } from '../../model/client/world.ts'
import { type Exploration, explore } from '../../model/explore.ts'

/** Searches for a flaw in these parts, from every scene, with one move more in each round, up to `depth` moves. */
export function findIn(parts: Parts, depth: number): Exploration['flaw'] {
  for (let level = 1; level <= depth; level++) {
    for (const scene of scenes) {
      const { flaw } = explore(clientSpace(parts, scene), level)
      if (flaw) return flaw
    }
  }
  return undefined
}
