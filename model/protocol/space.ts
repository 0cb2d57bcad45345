import type { Space } from '../explore.ts'
import { canonical } from './canonical.ts'
import { make, moves } from './moves.ts'
import { type Rules, type State, start, type Wishes } from './state.ts'
import { brokenBy } from './state-laws.ts'
import { broken } from './step-laws.ts'
import { tell } from './words.ts'

/** Everything that sessions can do with two keys, on the rules themselves. */
export const protocolSpace = (rules: Rules, sessions: number, wishes: Wishes = 'shared'): Space<State> => ({
  start: start(sessions),
  nameOf: canonical,
  *steps(state) {
    for (const move of moves(state, wishes)) {
      const step = make(rules, state, move)
      yield { after: step.after, flaw: broken(step), tell: () => [tell(step)] }
    }
  },
  brokenBy: (state) => brokenBy(state, rules),
})
