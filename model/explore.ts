/** One possible result of a move. */
interface Step<State> {
  readonly after: State
  /** Describes what happened. Called only when a path is printed. */
  tell(): readonly string[]
  /** The law that the step itself breaks, if any. */
  readonly flaw?: string | undefined
}

/** Something to explore: states, and what can happen in each. */
export interface Space<State> {
  readonly start: State
  /** A name that two states share exactly if they do not differ in anything that matters. */
  nameOf(state: State): string
  /** Everything that can happen in a state. Returns the same steps in the same order each time. */
  steps(state: State): Iterable<Step<State>>
  /** The law that a state breaks, if any. */
  brokenBy(state: State): string | undefined
}

export interface Exploration {
  /** The number of states that differ in more than names and numbers. */
  readonly states: number
  /** The number of moves that were made in them. */
  readonly moves: number
  /** The number of moves from the start up to which every state was explored. */
  readonly depth: number
  /** Whether there are no states beyond that depth. */
  readonly isWhole: boolean
  /** The number of new states at each depth, from the start on. */
  readonly levels: readonly number[]
  /** The first broken law that was found, and a shortest path to it, one line per event. */
  readonly flaw: { readonly law: string; readonly depth: number; readonly path: readonly string[] } | undefined
}

interface Found<State> {
  readonly state: State
  /** Its number among all states. */
  readonly index: number
}

/**
 * Tries every move in every state, breadth first, and checks all laws after each.
 * @param seen called now and then with the number of states and the depth
 */
export function explore<State>(space: Space<State>, depth: number, seen: (states: number, depth: number) => void = () => {}): Exploration {
  const { start } = space
  const known = new Set([space.nameOf(start)])
  // For each state: the state from which it was first reached, and by which move.
  const from: [parent: number, move: number][] = [[0, 0]]
  const levels = [1]
  let made = 0
  let frontier: Found<State>[] = [{ state: start, index: 0 }]

  const flawed = (law: string, last: number, move: number): Exploration => {
    const way = [move]
    for (let index = last; index > 0; index = from[index]?.[0] ?? 0) way.unshift(from[index]?.[1] ?? 0)
    const flaw = { law, depth: way.length, path: walk(space, way) }
    return { states: known.size, moves: made, depth: levels.length, isWhole: false, levels, flaw }
  }

  while (levels.length <= depth && frontier.length) {
    const next: Found<State>[] = []
    let fresh = 0
    for (const { state, index } of frontier) {
      let place = -1
      for (const { after, flaw } of space.steps(state)) {
        place++
        made++
        if (flaw) return flawed(flaw, index, place)
        if (after === state) continue
        const name = space.nameOf(after)
        if (known.has(name)) continue
        known.add(name)
        if (known.size % 1_000 === 0) seen(known.size, levels.length)
        const law = space.brokenBy(after)
        if (law) return flawed(law, index, place)
        fresh++
        // The last level is not explored further.
        if (levels.length < depth) next.push({ state: after, index: from.push([index, place]) - 1 })
      }
    }
    frontier = next
    levels.push(fresh)
  }
  const isWhole = levels.at(-1) === 0
  return { states: known.size, moves: made, depth: levels.length - 1, isWhole, levels, flaw: undefined }
}

/** Repeats the moves that led to a state. @returns their descriptions */
function walk<State>(space: Space<State>, way: readonly number[]): string[] {
  const told: string[] = []
  let { start: state } = space
  for (const place of way) {
    const step = [...space.steps(state)][place]
    if (!step) throw new Error('a state offers other moves the second time')
    told.push(...step.tell())
    state = step.after
  }
  return told
}
