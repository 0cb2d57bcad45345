import { LockError } from '../protocol/index.ts'
import type { Store } from '../store.ts'
import type { Owners } from './owners.ts'
import { pagesOf } from './pages.ts'

/** Where sessions become clients' own, when they open them. */
export class Openings {
  readonly #store: Store
  readonly #owners: Owners
  readonly #failed: (error: unknown) => void
  #next: Promise<Set<string>> | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(store: Store, owners: Owners, failed: (error: unknown) => void) {
    this.#store = store
    this.#owners = owners
    this.#failed = failed
  }

  /**
   * Makes sessions the owner's, if they are new. One that has a row is another's, here or at the store itself; and who took the id of one
   * that has ended, while a record still names it, would have its locks.
   */
  async open(sessions: ReadonlySet<string>, owner: string): Promise<void> {
    const unknown: string[] = []
    for (const session of sessions) if ((await this.#owners.of(session)) === undefined) unknown.push(session)
    if (!unknown.length) return
    const rows = await rowsAmong(this.#store, unknown)
    const rowless = unknown.filter((session) => !rows.has(session))
    // After the probes: a session that ended before them was named before.
    const named = rowless.length ? await this.#named() : new Set()
    const free = rowless.filter((session) => !named.has(session))
    if (free.length) await this.#owners.bind(free, owner)
  }

  /** Which of these are the ids of sessions. */
  async sessionsAmong(ids: readonly string[]): Promise<Set<string>> {
    const found = new Set<string>()
    const unknown = new Set<string>()
    for (const id of ids) ((await this.#owners.of(id)) === undefined ? unknown : found).add(id)
    for (const id of await rowsAmong(this.#store, [...unknown])) found.add(id)
    return found
  }

  /** All sessions that records name, by a look that begins now or later. Those who come while one is under way share the next. */
  #named(): Promise<Set<string>> {
    this.#next ??= this.#last.then(() => {
      this.#next = undefined
      const looking = this.#look()
      this.#last = looking.catch(() => {})
      return looking
    })
    return this.#next
  }

  async #look(): Promise<Set<string>> {
    try {
      const named = new Set<string>()
      for await (const views of pagesOf(this.#store, '', undefined, { busy: true }))
        for (const { holders, queue } of views) for (const { session } of [...holders, ...queue]) named.add(session)
      return named
    } catch (error) {
      // A damaged record must not keep everybody out.
      if (!(error instanceof LockError && error.code === 'corrupt')) throw error
      this.#failed(error)
      return new Set()
    }
  }
}

/** Which of these sessions have a row. */
async function rowsAmong(store: Store, sessions: readonly string[]): Promise<Set<string>> {
  if (!sessions.length) return new Set()
  // No row has this counter: the answer tells whether there is one, and changes nothing.
  const probes = await store.apply(sessions.map((session) => ({ type: 'end', session, seq: -1 })))
  return new Set(sessions.filter((_, index) => probes[index]?.type !== 'ended'))
}
