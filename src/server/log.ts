import type { Outcome } from '../protocol/index.ts'
import type { Caller } from './access.ts'
import type { Journal, LogLimits, NewEntry } from './journal.ts'
import type { LogEntry, LogKind, LogQuery, WireCommand } from './wire.ts'

interface About {
  readonly session?: string | undefined
  readonly token?: number | undefined
}

/** The history of the locks. What happens in one turn of the event loop is written in one go. */
export class Log {
  readonly #journal: Journal
  readonly #limits: LogLimits
  readonly #failed: (error: unknown) => void
  #entries: NewEntry[] = []
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

  /** Notes that somebody wanted what it had no right to. */
  refuse(what: About & { readonly key?: string }, why: string, caller?: Caller): void {
    this.#add('refusal', what.key ?? '', what, caller, why)
  }

  #add(kind: LogKind, key: string, { session, token }: About, caller?: Caller, why?: string): void {
    const first =
      this.#entries.push({ at: Date.now(), kind, key, session, token, who: caller?.name || undefined, address: caller?.address, why }) === 1
    if (first && !this.#writing) setImmediate(() => this.flush())
  }

  /** Writes what is not yet written. */
  async flush(): Promise<void> {
    while (this.#writing || this.#entries.length) {
      this.#writing ??= this.#write().finally(() => {
        this.#writing = undefined
      })
      await this.#writing
    }
  }

  async #write(): Promise<void> {
    const entries = this.#entries
    this.#entries = []
    try {
      await this.#journal.append(entries)
    } catch (error) {
      this.#failed(error)
    }
  }

  async query(query: LogQuery): Promise<LogEntry[]> {
    await this.flush()
    return await this.#journal.query(query)
  }

  async trim(): Promise<void> {
    await this.#journal.trim(Date.now(), this.#limits)
  }
}
