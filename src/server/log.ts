import type { LockView, Outcome } from '../protocol/index.ts'
import type { Caller } from './access.ts'
import { makeAllowance } from './allowance.ts'
import type { Journal, LogLimits, NewEntry } from './journal.ts'
import type { LogEntry, LogKind, LogQuery, WireCommand } from './wire.ts'

interface About {
  readonly session?: string | undefined
  readonly token?: number | undefined
}

/** So many refusals a second are kept of one client, so that nobody can push the history out with them. */
const refusalRate = 20

/** The history of the locks. What happens in one turn of the event loop is written in one go. */
export class Log {
  readonly #journal: Journal
  readonly #limits: LogLimits
  readonly #failed: (error: unknown) => void
  readonly #allowance = makeAllowance(refusalRate)
  #entries: NewEntry[] = []
  #underWay = 0
  #written: Promise<void> | undefined
  #writing: Promise<void> | undefined

  constructor(journal: Journal, limits: LogLimits, failed: (error: unknown) => void) {
    this.#journal = journal
    this.#limits = limits
    this.#failed = failed
  }

  /** Notes what a command did. @param caller whose it was; nobody's if the server's own */
  note(command: WireCommand, outcome: Outcome, caller?: Caller): void {
    if ('grants' in outcome) {
      const lost: LogKind = command.type === 'request' ? 'steal' : command.type === 'revoke' ? 'revoke' : 'eviction'
      for (const holder of outcome.evicted) this.#add(lost, outcome.record.key, holder, caller)
      if (outcome.type === 'granted' && !outcome.repeated) this.#add('grant', outcome.record.key, outcome.holder, caller)
    }
    const { type } = command
    if (outcome.type === 'done' && type === 'release') this.#add('release', command.key, command, caller)
    if (outcome.type === 'done' && type === 'withdraw') this.#add('withdrawal', command.key, { session: command.session }, caller)
    if (outcome.type === 'ended' && type === 'end') this.#add('end', '', command, caller)
    if (outcome.type === 'ended' && type === 'beat') this.#add('renewal-failure', '', command, caller, 'the session has ended')
    if (outcome.type === 'refused' && type === 'renew') this.#add('renewal-failure', command.key, command, caller, outcome.reason)
    if (outcome.type === 'refused' && type === 'release') this.refuse(command, outcome.reason, caller)
    if ('grants' in outcome) for (const holder of outcome.grants) this.#add('grant', outcome.record.key, holder, caller)
  }

  /** Notes the grants of what is held and is not in the log: whoever made them died before it was written, or does not write it. */
  async catchUp(views: readonly LockView[]): Promise<void> {
    for (const { key, holders } of views)
      for (const holder of holders)
        if (!(await this.#journal.hasGrant(key, holder.token))) this.#add('grant', key, holder, undefined, 'found when the server started')
    await this.written()
  }

  /** Notes that somebody wanted what it had no right to, unless it did so very often. */
  refuse(what: About & { readonly key?: string }, why: string, caller?: Caller): void {
    if (this.#allowance(caller?.name || caller?.address || '')) this.#add('refusal', what.key ?? '', what, caller, why)
  }

  #add(kind: LogKind, key: string, { session, token }: About, caller?: Caller, why?: string): void {
    this.#entries.push({ at: Date.now(), kind, key, session, token, who: caller?.name || undefined, address: caller?.address, why })
    this.#written ??= this.#writeSoon()
  }

  /** How many entries were noted and are not written. */
  get unwritten(): number {
    return this.#entries.length + this.#underWay
  }

  /** Resolves when all that was noted so far is written: nobody is told of what the log may yet lose. */
  async written(): Promise<void> {
    await this.#written
    await this.#writing
  }

  /** Writes at the end of this turn of the event loop, or when the write that is under way is done. */
  async #writeSoon(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
    await this.#writing
    this.#written = undefined
    this.#writing = this.#write()
    await this.#writing
  }

  async #write(): Promise<void> {
    const entries = this.#entries
    this.#entries = []
    this.#underWay = entries.length
    try {
      await this.#journal.append(entries)
    } catch (error) {
      this.#failed(error)
    } finally {
      this.#underWay = 0
    }
  }

  /** @param prefixes what the keys of entries have to start with; without it all are found, also those of no key */
  async query(query: LogQuery, prefixes?: readonly string[]): Promise<LogEntry[]> {
    await this.written()
    return await this.#journal.query(query, prefixes)
  }

  async trim(): Promise<void> {
    await this.#journal.trim(Date.now(), this.#limits)
  }
}
