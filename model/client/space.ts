import type { Space } from '../explore.ts'
import { canonical } from './canonical.ts'
import { brokenBy } from './laws.ts'
import { moves, steps } from './moves.ts'
import { open, type Scene } from './scenes.ts'
import type { Parts, World } from './world.ts'

/** Everything that clients with the real core can do with one key under the real rules, starting from a scene. */
export function clientSpace(parts: Parts, scene: Scene): Space<World> {
  const { world: start, bounds } = open(parts, scene)
  return {
    start,
    nameOf: canonical,
    *steps(world) {
      for (const move of moves(parts, world, bounds))
        for (const { after, texts } of steps(parts, world, move)) yield { after, tell: () => [texts.join('; ')] }
    },
    brokenBy: (world) => brokenBy(parts, world),
  }
}
