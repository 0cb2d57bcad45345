import type { LocksSnapshot } from '../locks/types.ts'

/** A session waits for a lock that another session holds, or that it holds itself. */
interface Wait {
  /** Who waits. */
  readonly session: string
  /** For which lock. */
  readonly name: string
  /** Who holds it. */
  readonly on: string
}

/** Sessions of which each waits for a lock that the next one holds, and the last one for a lock of the first. */
export type Cycle = readonly Wait[]

/** What is needed of a snapshot: an element of `held` and of `pending`, the latter in the order of the queue. */
type Party = Pick<LocksSnapshot['pending'][number], 'name' | 'session' | 'mode' | 'limit'>

interface Waiting {
  readonly session: string
  readonly name: string
  readonly holders: ReadonlySet<string>
  /** Whether it is enough that one of them releases: there is one place for each. */
  readonly any: boolean
}

/**
 * The cycles in the waits-for graph, each once and as short as it can be: the edges go from sessions that wait to the holders of what they wait for.
 * If one job both holds and waits in each of these sessions, none of them can go on. Jobs of one session that have nothing to do with each other, such
 * as the leaders of two things, look the same: a session does not say which job holds and which one waits.
 */
export function cyclesIn({ held, pending }: { readonly held: readonly Party[]; readonly pending: readonly Party[] }): Cycle[] {
  const holders = new Map<string, Set<string>>()
  for (const { name, session } of held) holders.set(name, (holders.get(name) ?? new Set()).add(session))
  const holding = new Set(held.map(({ session }) => session))
  const waits = new Map<string, Map<string, Waiting>>()
  for (const { name, session, limit = 1 } of pending) {
    const on = holders.get(name)
    // Who holds nothing is in nobody's way, except in a queue, where those behind it wait for the same holders.
    if (!on || !holding.has(session)) continue
    const own = waits.get(session) ?? new Map<string, Waiting>()
    waits.set(session, own.set(name, { session, name, holders: on, any: limit > 1 }))
  }
  const stuck = stuckIn(waits)
  const found = new Map<string, Cycle>()
  for (const session of [...stuck].sort()) {
    const cycle = shortest(session, waits, stuck)
    if (cycle && !found.has(idOf(cycle))) found.set(idOf(cycle), cycle)
  }
  return [...found.values()]
}

/** Names a cycle, wherever it begins. */
export const idOf = (cycle: Cycle): string => JSON.stringify(cycle.map(({ session, name }) => [session, name]).sort())

/** A cycle for people: `tab 1 waits for "b", which tab 2 holds; …`. */
export const cycleInWords = (cycle: Cycle, nameOf: (session: string) => string): string =>
  cycle
    .map(
      ({ session, name, on }) =>
        `${nameOf(session)} waits for ${JSON.stringify(name)}, which ${session === on ? 'it holds itself' : `${nameOf(on)} holds`}`,
    )
    .join('; ')

/** The sessions that can go on only if others among them do. */
function stuckIn(waits: ReadonlyMap<string, ReadonlyMap<string, Waiting>>): ReadonlySet<string> {
  const stuck = new Set(waits.keys())
  const isBlocked = ({ holders, any }: Waiting): boolean =>
    any ? [...holders].every((session) => stuck.has(session)) : [...holders].some((session) => stuck.has(session))
  for (let before = -1; before !== stuck.size; ) {
    before = stuck.size
    for (const [session, own] of waits) if (![...own.values()].some(isBlocked)) stuck.delete(session)
  }
  return stuck
}

/** The shortest way from a session back to itself. */
function shortest(start: string, waits: ReadonlyMap<string, ReadonlyMap<string, Waiting>>, stuck: ReadonlySet<string>): Cycle | undefined {
  const seen = new Set<string>()
  const ways: Cycle[] = [[]]
  for (const way of ways) {
    const at = way.at(-1)?.on ?? start
    for (const { session, name, holders } of waits.get(at)?.values() ?? []) {
      for (const on of holders) {
        if (on === start) return [...way, { session, name, on }]
        if (!stuck.has(on) || seen.has(on)) continue
        seen.add(on)
        ways.push([...way, { session, name, on }])
      }
    }
  }
  return undefined
}
