import { describe, expect, it } from 'vitest'
import { explore } from '../../model/explore.ts'
import { canonical } from '../../model/protocol/canonical.ts'
import { make, moves } from '../../model/protocol/moves.ts'
import { limitMutants, mutants } from '../../model/protocol/mutants.ts'
import { protocolSpace } from '../../model/protocol/space.ts'
import { type State, start, type Wishes } from '../../model/protocol/state.ts'
import { runBatch } from '../../src/protocol/index.ts'

const all: Wishes[] = ['shared', 'limited']

describe('the model of the protocol', () => {
  it.each(all)(
    'keeps every promise whatever three sessions do with two keys in four moves, with %s locks',
    (wishes) => {
      const { flaw, states, depth } = explore(protocolSpace(runBatch, 3, wishes), 4)
      expect(flaw && `${flaw.law}\n${flaw.path.join('\n')}`).toBeUndefined()
      expect(depth).toBe(4)
      // If a rule of the model hid moves that it should try, there would be far fewer states.
      expect(states).toBeGreaterThan(wishes === 'shared' ? 14_000 : 7_000)
    },
    60_000,
  )

  it.each(Object.entries(mutants))(
    'finds out that %s',
    (_, rules) => {
      const { flaw } = explore(protocolSpace(rules, 3), 5)
      expect(flaw?.depth).toBeGreaterThan(0)
    },
    60_000,
  )

  it.each(Object.entries(limitMutants))(
    'finds out that %s',
    (_, rules) => {
      const { flaw } = explore(protocolSpace(rules, 3, 'limited'), 5)
      expect(flaw?.depth).toBeGreaterThan(0)
    },
    60_000,
  )

  it.each(all)(
    'treats two states as one only if the same states can follow from both, with %s locks',
    (wishes) => {
      const follows = new Map<string, string>()
      let alike = 0
      for (const state of everything(2, wishes)) {
        const next = new Set<string>()
        for (const move of moves(state, wishes)) next.add(canonical(make(runBatch, state, move).after))
        const name = canonical(state)
        const all = [...next].sort().join('\n')
        if (follows.has(name)) alike++
        expect(follows.get(name) ?? all).toBe(all)
        follows.set(name, all)
      }
      expect(alike).toBeGreaterThan(wishes === 'shared' ? 600 : 500)
    },
    60_000,
  )
})

/** Every state that can be reached within `depth` moves. States that differ only in names or numbers count separately. */
function everything(depth: number, wishes: Wishes): State[] {
  const root = start(3)
  const known = new Map([[JSON.stringify(root), root]])
  let frontier = [root]
  for (let level = 0; level < depth; level++) {
    const next: State[] = []
    for (const state of frontier) {
      for (const move of moves(state, wishes)) {
        const { after } = make(runBatch, state, move)
        const name = JSON.stringify(after)
        if (known.has(name)) continue
        known.set(name, after)
        next.push(after)
      }
    }
    frontier = next
  }
  return [...known.values()]
}
