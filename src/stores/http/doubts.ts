import type { Command } from '../../protocol/index.ts'
import type { ApplyBody, Ticket, WireCommand } from '../../server/wire.ts'

type Request = Extract<WireCommand, { type: 'request' }>
type Withdraw = Extract<Command, { type: 'withdraw' }>

/** A request that a server has not answered and may still carry out. */
interface Doubt {
  readonly request: Request
  readonly batch: number
  readonly server: number
  /** The client has withdrawn the request, or released its grant, at another server. */
  over: boolean
}

/**
 * Requests that were repeated at another server. If the first server carries out its copy while the client waits or holds the lock, it is the same
 * request. If it does so after the client has withdrawn or released, no client knows of the new grant: the request has to be withdrawn once the
 * server has nothing left to carry out.
 */
export interface Doubts {
  add(body: ApplyBody, server: number): void
  /** Notes which requests the client withdraws or releases with these commands. */
  saw(commands: readonly Command[], holdsOf: (key: string, session: string) => readonly Ticket[]): void
  /** Called once this server no longer carries out anything up to this batch. @returns the withdrawals to send */
  clear(server: number, batch: number): readonly Withdraw[]
}

export function makeDoubts(): Doubts {
  const doubts = new Set<Doubt>()
  return {
    add({ commands, batch = 0 }, server) {
      for (const command of commands) if (command.type === 'request') doubts.add({ request: command, batch, server, over: false })
    },
    saw(commands, holdsOf) {
      if (!doubts.size) return
      for (const command of commands)
        for (const doubt of doubts) {
          const { session, key, number } = doubt.request
          if (!('session' in command) || command.session !== session) continue
          // No server carries out a request of a session that has ended.
          if (command.type === 'end') doubts.delete(doubt)
          else if (!('key' in command) || command.key !== key) continue
          else if (command.type === 'withdraw') doubt.over ||= command.number === number
          else if (command.type === 'release')
            doubt.over ||= holdsOf(key, session).some((held) => held.token === command.token && held.number === number)
        }
    },
    clear(server, batch) {
      const cleared = [...doubts].filter((doubt) => doubt.server === server && doubt.batch <= batch)
      for (const doubt of cleared) doubts.delete(doubt)
      return cleared.filter(({ over }) => over).map(({ request: { key, session, number } }): Withdraw => ({ type: 'withdraw', key, session, number }))
    },
  }
}
