import type { Store } from '../store.ts'
import type { Journal } from './journal.ts'
import type { Openings } from './openings.ts'

/** How long after its owner was stored a session may take to appear in the store, in ms. */
const age = 600_000
/** How many sessions are checked in one step. */
const each = 100
/** How many steps are made at a time; more while most of the sessions found are gone, so that a flood is cleared. */
const rounds = 50
/** But no more than this many. */
const most = 1_000

interface Parts {
  readonly store: Store
  readonly journal: Journal
  readonly openings: Openings
}

/**
 * Forgets the owners of sessions that have no row any more and that no record names. Each time it goes on where it stopped, so that old sessions that
 * still live do not block it.
 * @param forgotten called with each
 */
export function makeForgetting({ store, journal, openings }: Parts, forgotten: (session: string) => void): () => Promise<void> {
  let reached = ''

  /** The next sessions without a row. */
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
    // After the probes: a session that ended before them was named before.
    const free = await openings.unnamedAmong(gone)
    for (let from = 0; from < free.length; from += each) {
      const some = free.slice(from, from + each)
      await journal.unbind(some)
      some.forEach(forgotten)
    }
  }
}
