import type { LocksSnapshot } from '../locks/types.ts'

/** A session waits for a lock that another session holds, or that it holds itself. */
interface Wait {
  /** The session that waits. */
  readonly session: string
  /** The lock that it waits for. */
  readonly name: string
  /** The session that holds the lock. */
  readonly on: string
}

/** A ring of sessions: each waits for a lock that the next one holds, and the last one for a lock that the first one holds. */
export type Cycle = readonly Wait[]

/** The fields used of an element of a snapshot's `held` or `pending`; `pending` is in the order of the queue. */
type Party = Pick<LocksSnapshot['pending'][number], 'name' | 'session' | 'mode' | 'limit'>

interface Waiting {
  readonly session: string
  readonly name: string
  readonly holders: ReadonlySet<string>
  /** Whether the wait ends as soon as any one holder releases: the lock has a limit, and each holder takes one place. */
  readonly any: boolean
}

/**
 * The cycles in the waits-for graph, each once and as short as possible. Its edges go from a waiting session to the holders of the lock it waits for.
 * If in each of these sessions the job that holds is also the job that waits, not one of them can continue. Unrelated jobs of one session, such as
 * leaders for two tasks, look the same: a session does not record which job holds and which one waits.
 */
export function cyclesIn({ held, pending }: { readonly held: readonly Party[]; readonly pending: readonly Party[] }): Cycle[] {
  const holders = new Map<string, Set<string>>()
  for (const { name, session } of held) holders.set(name, (holders.get(name) ?? new Set()).add(session))
  const holding = new Set(held.map(({ session }) => session))
  const waits = new Map<string, Map<string, Waiting>>()
  for (const { name, session, limit = 1 } of pending) {
    const on = holders.get(name)
    // A session that holds nothing blocks only the waiters behind it in a queue, and they wait for the same holders anyway.
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

/** Identifies a cycle, whichever session it starts with. */
export const idOf = (cycle: Cycle): string =>
  cycle
    .map(({ session, name }) => JSON.stringify([session, name]))
    .sort()
    .join()

/** A cycle in words: `tab 1 waits for "b", which tab 2 holds; …`. */
export const cycleInWords = (cycle: Cycle, nameOf: (session: string) => string): string =>
  cycle
    .map(
      ({ session, name, on }) =>
        `${nameOf(session)} waits for ${JSON.stringify(name)}, which ${session === on ? 'it holds itself' : `${nameOf(on)} holds`}`,
    )
    .join('; ')

/** The sessions that can continue only if other sessions of this set do. */
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

/** A path from one session to another: its last wait, and the path up to that wait. */
interface Way {
  readonly wait: Wait
  readonly before: Way | undefined
}

/** The shortest path from a session back to itself. */
function shortest(start: string, waits: ReadonlyMap<string, ReadonlyMap<string, Waiting>>, stuck: ReadonlySet<string>): Cycle | undefined {
  const seen = new Set<string>()
  const ways: (Way | undefined)[] = [undefined]
  for (const before of ways) {
    for (const { session, name, holders } of waits.get(before?.wait.on ?? start)?.values() ?? []) {
      for (const on of holders) {
        if (!stuck.has(on) || seen.has(on)) continue
        const way = { wait: { session, name, on }, before }
        if (on === start) return waitsOf(way)
        seen.add(on)
        ways.push(way)
      }
    }
  }
  return undefined
}

function waitsOf(way: Way): Cycle {
  const waits: Wait[] = []
  for (let at: Way | undefined = way; at; at = at.before) waits.push(at.wait)
  return waits.reverse()
}
