import { describe, expect, it } from 'vitest'
import { mutants } from '../../model/client/mutants.ts'
import { scenes } from '../../model/client/scenes.ts'
import { clientSpace } from '../../model/client/space.ts'
import { realParts } from '../../model/client/world.ts'
import { explore } from '../../model/explore.ts'
import { findIn } from './flaws.ts'

/** The mutants whose fault shows only after more than three moves. */
const deep = new Set([
  'a grant by another is used without being confirmed',
  'a request that was dropped is not made again',
  'a grant counts from when it was heard of',
])

describe('the model of clients', () => {
  it.each(scenes)(
    'keeps every promise for three moves from this scene: $name',
    (scene) => {
      const { flaw, depth, states } = explore(clientSpace(realParts, scene), 3)
      expect(flaw && `${flaw.law}\n${flaw.path.join('\n')}`).toBeUndefined()
      expect(depth).toBe(3)
      expect(states).toBeGreaterThan(600)
    },
    60_000,
  )

  // The deep mutants take longer: `npm run model -- --mutants` and the long tests run them.
  it.each(Object.entries(mutants).filter(([name]) => !deep.has(name)))(
    'finds out that %s',
    (_, parts) => {
      expect(findIn(parts, 3)).toMatchObject({ law: expect.any(String) })
    },
    120_000,
  )
})
