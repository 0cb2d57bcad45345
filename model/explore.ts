import { canonical } from './canonical.ts'
import { make, moves, type Step } from './moves.ts'
import { type Rules, type State, start } from './state.ts'
import { brokenBy } from './state-laws.ts'
import { broken } from './step-laws.ts'

export interface Exploration {
  /** States that differ in more than names and numbers. */
  readonly states: number
  /** Moves that were made in them. */
  readonly moves: number
  /** The number of moves from the start up to which every state was explored. */
  readonly depth: number
  /** New states at each depth, the start first. */
  readonly levels: readonly number[]
  /** The first law that was found broken, and a shortest path to it. */
  readonly flaw: { readonly law: string; readonly path: readonly Step[] } | undefined
}

interface Found {
  readonly state: State
  /** Its number among all states. */
  readonly index: number
}

/**
 * Tries every move in every state, breadth first, and checks all laws after each.
 * @param seen called now and then with the number of states and the depth
 */
export function explore(rules: Rules, sessions: number, depth: number, seen: (states: number, depth: number) => void = () => {}): Exploration {
  const root = start(sessions)
  const known = new Set([canonical(root)])
  // For each state: the state and the move by which it was reached first.
  const from: [parent: number, move: number][] = [[0, 0]]
  const levels = [1]
  let made = 0
  let frontier: Found[] = [{ state: root, index: 0 }]

  const flawed = (law: string, last: number, move: number): Exploration => {
    const way = [move]
    for (let index = last; index > 0; index = from[index]?.[0] ?? 0) way.unshift(from[index]?.[1] ?? 0)
    return { states: known.size, moves: made, depth: levels.length, levels, flaw: { law, path: walk(rules, root, way) } }
  }

  while (levels.length <= depth && frontier.length) {
    const next: Found[] = []
    let fresh = 0
    for (const { state, index } of frontier) {
      let place = -1
      for (const move of moves(state)) {
        place++
        const step = make(rules, state, move)
        made++
        const law = broken(step)
        if (law) return flawed(law, index, place)
        if (step.after === state) continue
        const name = canonical(step.after)
        if (known.has(name)) continue
        known.add(name)
        if (known.size % 1_000 === 0) seen(known.size, levels.length)
        const bad = brokenBy(step.after, rules)
        if (bad) return flawed(bad, index, place)
        fresh++
        // The last level is not explored further.
        if (levels.length < depth) next.push({ state: step.after, index: from.push([index, place]) - 1 })
      }
    }
    frontier = next
    levels.push(fresh)
  }
  return { states: known.size, moves: made, depth: levels.length - 1, levels, flaw: undefined }
}

/** Repeats the moves that led to a state. */
function walk(rules: Rules, root: State, way: readonly number[]): Step[] {
  const path: Step[] = []
  let state = root
  for (const place of way) {
    const move = [...moves(state)][place]
    if (!move) throw new Error('a state offers other moves the second time')
    const step = make(rules, state, move)
    path.push(step)
    state = step.after
  }
  return path
}
