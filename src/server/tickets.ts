import type { Holder, Outcome } from '../protocol/index.ts'
import type { Caller } from './access.ts'
import { type Owners, sameOwner } from './owners.ts'
import { type KeyRing, makeLockToken } from './tokens.ts'
import type { Ticket, WireCommand } from './wire.ts'

/** Makes the lockTokens for clients: a client gets those of its own sessions, and no others. */
export class Tickets {
  readonly #ring: KeyRing
  readonly #owners: Owners

  constructor(ring: KeyRing, owners: Owners) {
    this.#ring = ring
    this.#owners = owners
  }

  /** Whether a session is this caller's. */
  owns(caller: Caller, session: string): boolean {
    const owner = this.#owners.known(session)
    return owner !== undefined && sameOwner(owner, caller.owner)
  }

  /** The lockTokens for a command's caller. */
  of(command: WireCommand, outcome: Outcome, caller: Caller): Ticket[] {
    if (!('grants' in outcome)) return []
    const { key } = outcome.record
    const make = (holder: Holder): Ticket => this.make(key, holder.session, holder)
    const tickets = outcome.grants.filter(({ session }) => this.owns(caller, session)).map(make)
    if (outcome.type === 'granted') tickets.push(make(outcome.holder))
    if (outcome.type === 'queued' && command.type === 'request') tickets.push(this.make(key, command.session))
    return tickets
  }

  /** The lockToken of a grant, or of a session's places in the queue. */
  make(key: string, session: string, { token, number }: Partial<Holder> = {}): Ticket {
    // In this order: shell scripts look for a token and its lockToken side by side.
    return { key, session, token, lockToken: makeLockToken(this.#ring, { key, session, token }), number }
  }
}
