import type { Command, Fenced } from '../../protocol/index.ts'
import type { ApplyReply, Ticket, WireCommand } from '../../server/wire.ts'

/** So many lockTokens of places in queues are kept; one that was dropped is looked up again. */
const capacity = 10_000

/** The lockTokens of what this client holds and waits for. */
export interface Ledger {
  put(ticket: Ticket): void
  /** Notes the lockTokens that a reply brings, and drops those of what it ended. */
  saw(commands: readonly Command[], reply: ApplyReply): void
  /** A command with its lockToken, where it needs one and that is known. */
  dress(command: Command): WireCommand
  /** The keys of commands whose lockTokens are not known. */
  missing(commands: readonly Command[]): Set<string>
  ofHold(lock: Fenced): string | undefined
  /** What is waited for: the keys, by session. */
  waits(): Iterable<Ticket>
}

export function makeLedger(): Ledger {
  const holds = new Map<string, Ticket[]>()
  const places = new Map<string, Ticket>()

  const find = (command: Command): string | undefined => {
    if (command.type === 'withdraw') {
      const { lockToken } = places.get(nameOf(command)) ?? holds.get(nameOf(command))?.find(({ number }) => number === command.number) ?? {}
      return lockToken
    }
    if (command.type !== 'renew' && command.type !== 'release') return undefined
    return holds.get(nameOf(command))?.find(({ token }) => token === command.token)?.lockToken
  }

  const drop = (name: string, token: number | undefined): void => {
    const left = holds.get(name)?.filter((ticket) => ticket.token !== token)
    if (left?.length) holds.set(name, left)
    else holds.delete(name)
  }

  const put = (ticket: Ticket): void => {
    const name = nameOf(ticket)
    if (ticket.token === undefined) {
      places.delete(name)
      places.set(name, ticket)
      if (places.size > capacity) for (const oldest of places.keys()) return void places.delete(oldest)
      return
    }
    // Who was served waits no more; if another of its session does, its token is looked up when it is needed.
    places.delete(name)
    drop(name, ticket.token)
    holds.set(name, [...(holds.get(name) ?? []), ticket])
  }

  return {
    put,
    saw(commands, { outcomes, lockTokens }) {
      for (const ticket of lockTokens) put(ticket)
      for (const [index, command] of commands.entries()) {
        const outcome = outcomes[index]
        if (!outcome || !('record' in outcome)) continue
        if (command.type === 'release') drop(nameOf(command), command.token)
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
        // Taken back in the same breath, a request needs none.
        if (!owned || (command.type === 'withdraw' && asked.has(`${nameOf(command)} ${command.number}`))) continue
        if (find(command) === undefined) keys.add(command.key)
      }
      return keys
    },
    ofHold({ key, session, token }) {
      // The uses of a grant have tokens of its reserve: the grant is the last one before.
      const grants = (holds.get(nameOf({ key, session })) ?? []).filter((ticket) => (ticket.token ?? 0) <= token)
      return grants.reduce<Ticket | undefined>((best, each) => ((best?.token ?? 0) < (each.token ?? 0) ? each : best), undefined)?.lockToken
    },
    waits: () => places.values(),
  }
}

const nameOf = ({ key, session }: { readonly key: string; readonly session: string }): string => `${session} ${key}`
