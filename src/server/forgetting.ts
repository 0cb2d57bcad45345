import type { Store } from '../store.ts'
import type { Journal } from './journal.ts'
import type { Openings } from './openings.ts'

/** How long a session has to show itself in the store after it became a client's, in ms. */
const age = 600_000
/** So many are looked at in one step. */
const each = 100
/** So many steps are made at a time, and more as long as most of what they find is gone: nobody's flood outlasts it. */
const rounds = 50
/** And no more than so many. */
const most = 1_000

interface Parts {
  readonly store: Store
  readonly journal: Journal
  readonly openings: Openings
}

/**
 * Forgets whose those sessions were that have no row any more and that no record names. Each time it goes on where it stopped: old ones that live
 * are in no one's way.
 * @param forgotten hears of each
 */
export function makeForgetting({ store, journal, openings }: Parts, forgotten: (session: string) => void): () => Promise<void> {
  let reached = ''

  /** The next ones that have no row. */
  const nextGone = async (): Promise<string[]> => {
    const gone: string[] = []
    for (let round = 1; round <= most; round++) {
      const old = await journal.boundBefore(Date.now() - age, reached, each)
      reached = old.length < each ? '' : (old.at(-1) as string)
      const probes = old.length ? await store.apply(old.map((session) => ({ type: 'end', session, seq: -1 }))) : []
      const some = old.filter((_, index) => probes[index]?.type === 'ended')
      gone.push(...some)
      if (!reached || (round >= rounds && some.length < each / 2)) break
    }
    return gone
  }

  return async () => {
    const gone = await nextGone()
    if (!gone.length) return
    // After the probes: whoever ended before them was named before.
    const free = await openings.unnamedAmong(gone)
    for (let from = 0; from < free.length; from += each) {
      const some = free.slice(from, from + each)
      await journal.unbind(some)
      some.forEach(forgotten)
    }
  }
}
