import { scenes } from '../../model/client/scenes.ts'
import { clientSpace } from '../../model/client/space.ts'
import type { Parts } from '../../model/client/world.ts'
import { type Exploration, explore } from '../../model/explore.ts'

/** What the model finds wrong with these parts within so many moves from any scene: a little deeper each time. */
export function findIn(parts: Parts, depth: number): Exploration['flaw'] {
  for (let level = 1; level <= depth; level++) {
    for (const scene of scenes) {
      const { flaw } = explore(clientSpace(parts, scene), level)
      if (flaw) return flaw
    }
  }
  return undefined
}
