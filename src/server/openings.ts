import type { LockView } from '../protocol/index.ts'
import type { Store } from '../store.ts'
import type { Owners } from './owners.ts'
import { pagesOf } from './pages.ts'

/** Above this many ids, those that are no longer used are removed. */
const many = 10_000
/** How many rows are probed at once. */
const each = 100

/** Gives clients the ownership of sessions that they open. */
export class Openings {
  readonly #store: Store
  readonly #owners: Owners
  /**
   * Ids that records have named and that no client owns: any client may have read them. If a session ended while a record still names it, a client
   * that opened it again would get its locks.
   */
  #taken = new Set<string>()
  #older: ReadonlySet<string> = new Set()

  constructor(store: Store, owners: Owners) {
    this.#store = store
    this.#owners = owners
  }

  /** Notes the ids in a record that the store has returned. */
  saw({ holders, queue }: LockView): void {
    for (const { session } of holders) this.#sawNamed(session)
    for (const { session } of queue) this.#sawNamed(session)
  }

  /** Makes this the owner of new sessions. A session that has a row belongs to another client, or to a process that uses the store directly. */
  async open(sessions: ReadonlySet<string>, owner: string): Promise<void> {
    const unknown: string[] = []
    for (const session of sessions) if ((await this.#owners.of(session)) === undefined) unknown.push(session)
    const fresh = unknown.filter((session) => !this.#isTaken(session))
    const rows = await this.#rowsAmong(fresh)
    // Check again: a look in the meantime may have shown the id.
    const free = fresh.filter((session) => !rows.has(session) && !this.#isTaken(session))
    if (free.length) await this.#owners.bind(free, owner)
  }

  /** Which of these are the ids of sessions. */
  async sessionsAmong(ids: readonly string[]): Promise<Set<string>> {
    const found = new Set<string>()
    const unknown = new Set<string>()
    for (const id of ids) ((await this.#owners.of(id)) === undefined ? unknown : found).add(id)
    for (const id of await this.#rowsAmong([...unknown])) found.add(id)
    return found
  }

  /**
   * Searches the records, a few at a time, for traces of sessions that have ended.
   * @returns the ids among these that no record names
   */
  async unnamedAmong(ended: readonly string[]): Promise<string[]> {
    const named = new Set<string>()
    const before = this.#taken
    this.#older = before
    // Collects the ids that are seen from now on, also by this search.
    this.#taken = new Set()
    try {
      for await (const views of pagesOf(this.#store, '', undefined, { busy: true }))
        for (const { holders, queue } of views) for (const { session } of [...holders, ...queue]) named.add(session)
      await this.#keepAlive(before)
    } catch (error) {
      for (const id of before) this.#taken.add(id)
      throw error
    } finally {
      this.#older = new Set()
    }
    return ended.filter((session) => !named.has(session))
  }

  /** Keeps the ids that the search has not seen; if there are many, only those that have a row: records may name their sessions again. */
  async #keepAlive(before: ReadonlySet<string>): Promise<void> {
    const ids = [...before].filter((id) => !this.#taken.has(id))
    for (let from = 0; from < ids.length; from += each) {
      const some = ids.slice(from, from + each)
      for (const id of before.size < many ? some : await this.#rowsAmong(some)) this.#taken.add(id)
    }
  }

  #sawNamed(session: string): void {
    if (this.#owners.known(session) === undefined) this.#taken.add(session)
  }

  #isTaken(session: string): boolean {
    return this.#taken.has(session) || this.#older.has(session)
  }

  /** Which of these sessions have a row. */
  async #rowsAmong(sessions: readonly string[]): Promise<Set<string>> {
    if (!sessions.length) return new Set()
    // No row has this `seq`: the command changes nothing, and its outcome shows whether there is a row.
    const probes = await this.#store.apply(sessions.map((session) => ({ type: 'end', session, seq: -1 })))
    return new Set(sessions.filter((_, index) => probes[index]?.type !== 'ended'))
  }
}
