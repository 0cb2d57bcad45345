import type { Command, Fenced, PlainView } from '../../protocol/index.ts'
import type { ApplyReply, Ticket, WireCommand } from '../../server/wire.ts'

/** How many lockTokens of places in queues are kept; a dropped lockToken is looked up again. */
const capacity = 10_000

/** The lockTokens of this client's holds and places in queues. */
export interface Ledger {
  put(ticket: Ticket): void
  /** Drops the lockTokens of holds that have ended according to a record. */
  look(record: Pick<PlainView, 'key' | 'token' | 'holders'>): void
  /** Drops all lockTokens of a session that ends or has ended. */
  end(session: string): void
  /** Notes the lockTokens in a reply, and drops those of holds and places that the commands have ended. */
  saw(commands: readonly Command[], reply: ApplyReply): void
  /** Adds the lockToken to a command that needs one, if it is known. */
  dress(command: Command): WireCommand
  /** The keys of commands that need a lockToken we do not know. */
  missing(commands: readonly Command[]): Set<string>
  ofHold(lock: Fenced): string | undefined
  /** The lockTokens of a session's holds on a key. */
  holdsOf(key: string, session: string): readonly Ticket[]
  /** How many lockTokens of holds there are. */
  readonly held: number
}

export function makeLedger(): Ledger {
  /** By key. */
  const holds = new Map<string, Ticket[]>()
  const places = new Map<string, Ticket>()

  const holdsOf = ({ key, session }: Owner): Ticket[] => (holds.get(key) ?? []).filter((ticket) => ticket.session === session)

  const find = (command: Command): string | undefined => {
    if (command.type === 'withdraw') {
      const { lockToken } = places.get(nameOf(command)) ?? holdsOf(command).find(({ number }) => number === command.number) ?? {}
      return lockToken
    }
    if (command.type !== 'renew' && command.type !== 'release') return undefined
    return holdsOf(command).find(({ token }) => token === command.token)?.lockToken
  }

  const keep = (key: string, stands: (ticket: Ticket) => boolean): void => {
    const before = holds.get(key)
    const left = before?.filter(stands)
    if (left?.length) holds.set(key, left)
    else if (before) holds.delete(key)
  }

  const drop = ({ key, session }: Owner, token: number | undefined): void =>
    keep(key, (ticket) => ticket.session !== session || ticket.token !== token)

  // A record with an older token may have been read before the grant.
  const look = ({ key, token, holders }: Pick<PlainView, 'key' | 'token' | 'holders'>): void =>
    keep(key, (ticket) => (ticket.token ?? 0) > token || holders.some((held) => held.session === ticket.session && held.token === ticket.token))

  const end = (session: string): void => {
    for (const key of [...holds.keys()]) keep(key, (ticket) => ticket.session !== session)
    for (const [name, ticket] of places) if (ticket.session === session) places.delete(name)
  }

  const put = (ticket: Ticket): void => {
    const name = nameOf(ticket)
    if (ticket.token === undefined) {
      places.delete(name)
      places.set(name, ticket)
      if (places.size > capacity) for (const oldest of places.keys()) return void places.delete(oldest)
      return
    }
    // A granted request waits no more. If another request of its session still waits, its lockToken is looked up when it is needed.
    places.delete(name)
    drop(ticket, ticket.token)
    holds.set(ticket.key, [...(holds.get(ticket.key) ?? []), ticket])
  }

  return {
    put,
    look,
    end,
    get held() {
      return [...holds.values()].flat().length
    },
    saw(commands, { outcomes, lockTokens }) {
      for (const ticket of lockTokens) put(ticket)
      for (const [index, command] of commands.entries()) {
        const outcome = outcomes[index]
        if (outcome?.type === 'ended' && command.type === 'beat') end(command.session)
        if (!outcome || !('record' in outcome)) continue
        look(outcome.record)
        if (command.type === 'release') drop(command, command.token)
        const waits = command.type !== 'withdraw' || outcome.record.queue.some(({ session }) => session === command.session)
        if (!waits) places.delete(nameOf(command))
      }
    },
    dress(command) {
      const lockToken = find(command)
      return lockToken === undefined ? command : ({ ...command, lockToken } as WireCommand)
    },
    missing(commands) {
      const asked = new Set<string>()
      const keys = new Set<string>()
      for (const command of commands) {
        if (command.type === 'request') asked.add(`${nameOf(command)} ${command.number}`)
        const owned = command.type === 'renew' || command.type === 'release' || command.type === 'withdraw'
        // A withdrawal in the same batch as its request needs no lockToken.
        if (!owned || (command.type === 'withdraw' && asked.has(`${nameOf(command)} ${command.number}`))) continue
        if (find(command) === undefined) keys.add(command.key)
      }
      return keys
    },
    ofHold({ key, session, token }) {
      // Each use of a grant has a token from the grant's reserve, so look for the last grant with a token that is not higher.
      const grants = holdsOf({ key, session }).filter((ticket) => (ticket.token ?? 0) <= token)
      return grants.reduce<Ticket | undefined>((best, each) => ((best?.token ?? 0) < (each.token ?? 0) ? each : best), undefined)?.lockToken
    },
    holdsOf: (key, session) => holdsOf({ key, session }),
  }
}

interface Owner {
  readonly key: string
  readonly session: string
}

const nameOf = ({ key, session }: Owner): string => `${session} ${key}`
