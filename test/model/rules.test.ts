import { describe, expect, it } from 'vitest'
import { explore } from '../../model/explore.ts'
import { canonical } from '../../model/protocol/canonical.ts'
import { make, moves } from '../../model/protocol/moves.ts'
import { mutants } from '../../model/protocol/mutants.ts'
import { protocolSpace } from '../../model/protocol/space.ts'
import { type State, start } from '../../model/protocol/state.ts'
import { runBatch } from '../../src/protocol/index.ts'

describe('the model of the protocol', () => {
  it('keeps every promise in all that three sessions can do with two keys in four moves', () => {
    const { flaw, states, depth } = explore(protocolSpace(runBatch, 3), 4)
    expect(flaw && `${flaw.law}\n${flaw.path.join('\n')}`).toBeUndefined()
    expect(depth).toBe(4)
    // If a rule of the model came to hide what it should try, there would be far fewer.
    expect(states).toBeGreaterThan(14_000)
  }, 60_000)

  it.each(Object.entries(mutants))(
    'finds out that %s',
    (_, rules) => {
      const { flaw } = explore(protocolSpace(rules, 3), 5)
      expect(flaw?.depth).toBeGreaterThan(0)
    },
    60_000,
  )

  it('takes states for one only if the same can follow from both', () => {
    const follows = new Map<string, string>()
    let alike = 0
    for (const state of everything(2)) {
      const next = new Set<string>()
      for (const move of moves(state)) next.add(canonical(make(runBatch, state, move).after))
      const name = canonical(state)
      const all = [...next].sort().join('\n')
      if (follows.has(name)) alike++
      expect(follows.get(name) ?? all).toBe(all)
      follows.set(name, all)
    }
    expect(alike).toBeGreaterThan(600)
  }, 60_000)
})

/** Every state within so many moves, told apart by names and numbers too. */
function everything(depth: number): State[] {
  const root = start(3)
  const known = new Map([[JSON.stringify(root), root]])
  let frontier = [root]
  for (let level = 0; level < depth; level++) {
    const next: State[] = []
    for (const state of frontier) {
      for (const move of moves(state)) {
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
