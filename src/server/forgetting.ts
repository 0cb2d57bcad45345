import { emptyView } from '../protocol/index.ts'
import type { Store } from '../store.ts'
import type { Claims } from './claims.ts'
import type { Journal } from './journal.ts'
import type { Openings } from './openings.ts'

/** How long after its owner was stored a session may take to appear in the store, in ms. */
const age = 600_000
/** How many sessions are checked in one step. */
const each = 100
/** How many steps one run makes. It goes on while at least half of the sessions in a step are gone, so that a flood of sessions is cleared. */
const rounds = 50
/** The most steps of one run. */
const most = 1_000

interface Parts {
  readonly store: Store
  readonly journal: Journal
  readonly openings: Openings
}

/**
 * Forgets the owners of sessions that no longer have a row and that no record names. Each run continues where the last one stopped, so that old
 * sessions that are still alive do not block it.
 * @param forgotten called with each session that was forgotten
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
    // Search the records after the probes: a session without a row cannot get into a record any more.
    const free = await openings.unnamedAmong(gone)
    for (let from = 0; from < free.length; from += each) {
      const some = free.slice(from, from + each)
      await journal.unbind(some)
      some.forEach(forgotten)
    }
  }
}

/** How many keys are compared at a time. */
const keysAtOnce = 1_000

/**
 * Finds the sessions and locks that clients have ended or released through other servers on the same store, so that they no longer count here. Each
 * run continues where the last one stopped.
 * @param ended called with each session that two successive runs found without a row: a session that is being opened has no row yet
 */
export function makeComparing({ store, claims }: { readonly store: Store; readonly claims: Claims }, ended: (session: string) => void) {
  let suspects = new Set<string>()
  let next: string[] = []

  return async (): Promise<void> => {
    const gone = new Set<string>()
    const ids = [...claims.ids()]
    for (let from = 0; from < ids.length; from += each) {
      const some = ids.slice(from, from + each)
      const probes = await store.apply(some.map((session) => ({ type: 'end', session, seq: -1 })))
      some.forEach((session, index) => {
        if (probes[index]?.type === 'ended') gone.add(session)
      })
    }
    for (const session of gone) if (suspects.has(session)) ended(session)
    suspects = gone
    if (!next.length) next = [...claims.keys()]
    for (const key of next.splice(0, keysAtOnce)) claims.compare((await store.read(key)) ?? emptyView(key))
  }
}
