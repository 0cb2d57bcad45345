import { hash, timingSafeEqual } from 'node:crypto'
import type { Journal } from './journal.ts'

/** How many owners are cached; the journal has them all. */
const capacity = 100_000

/** The owner of a session: a hash of a credential and a client key. */
export const ownerOf = (credential: string, clientKey: string): string => hash('sha256', JSON.stringify([credential, clientKey]), 'base64url')

/** Compares in constant time. */
export const sameOwner = (a: string, b: string): boolean => a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b))

/** The owner of each session. A session without one belongs to no client of this server. */
export class Owners {
  readonly #journal: Journal
  readonly #known = new Map<string, string>()

  constructor(journal: Journal) {
    this.#journal = journal
  }

  /** The cached owner; sessions in use here are cached. */
  known(session: string): string | undefined {
    return this.#known.get(session)
  }

  async of(session: string): Promise<string | undefined> {
    const known = this.#known.get(session)
    if (known !== undefined) return known
    const owner = await this.#journal.ownerOf(session)
    if (owner !== undefined) this.#keep(session, owner)
    return owner
  }

  /** Makes this the owner of sessions, unless they already have another one. */
  async bind(sessions: readonly string[], owner: string): Promise<void> {
    const owners = await this.#journal.bind(sessions, owner, Date.now())
    for (const [index, session] of sessions.entries()) this.#keep(session, owners[index] as string)
  }

  forget(session: string): void {
    this.#known.delete(session)
  }

  #keep(session: string, owner: string): void {
    this.#known.set(session, owner)
    if (this.#known.size > capacity) for (const [oldest] of this.#known.entries()) return void this.#known.delete(oldest)
  }
}
