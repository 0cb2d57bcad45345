import { LockError, type LockView, type Outcome } from '../protocol/index.ts'
import type { Notes } from '../stores/remote/notes.ts'
import type { Alongside } from '../stores/sqlite/driver.ts'
import type { Caller } from './access.ts'
import { makeAllowance } from './allowance.ts'
import { type About, entryOf, shortKey } from './entries.ts'
import { isAttempt, type Journal, type LogLimits, type NewEntry } from './journal.ts'
import type { LogEntry, LogKind, LogQuery, WireCommand } from './wire.ts'

/** How the log is kept. */
interface LogOptions extends LogLimits {
  /** Whether a grant is answered only once it is in the log. */
  readonly required: boolean
}

/** How many attempts a second the log keeps of one client, and of one address, so that those of other clients stay in the ring for a while. */
const attemptRate = 5
/** The most entries that wait while the log cannot be written. */
const backlog = 10_000
/** How long after a failed write the next one is made, in ms, unless a new entry comes earlier. */
const retryAfter = 1_000

/** The history of the locks. Everything that happens in one turn of the event loop is written together. */
export class Log {
  readonly #journal: Journal
  readonly #options: LogOptions
  readonly #failed: (error: unknown) => void
  readonly #allowed = makeAllowance(attemptRate)
  /** How many attempts of each client were left out since its last one that was kept. */
  readonly #omitted = new Map<string, { count: number; readonly from: Pick<NewEntry, 'who' | 'address'> }>()
  #entries: NewEntry[] = []
  #underWay = 0
  #sinceTrim = 0
  #trimming: Promise<void> | undefined
  #fault: LockError | undefined
  #retry: NodeJS.Timeout | undefined
  #written: Promise<void> | undefined
  #writing: Promise<void> | undefined

  constructor(journal: Journal, options: LogOptions, failed: (error: unknown) => void) {
    this.#journal = journal
    this.#options = options
    this.#failed = failed
  }

  /**
   * Logs what commands did, in the commands' own transaction if the store can do that: then neither is kept without the other.
   * @param entriesOf gives the entries for the outcome of a command
   * @returns what the store writes in the transaction, and what to call once it has committed
   */
  within(entriesOf: (outcome: Outcome, index: number) => readonly NewEntry[]): {
    alongside: Alongside | Notes | undefined
    done(outcomes: readonly Outcome[]): void
  } {
    const { alongside, along } = this.#journal
    if (along) {
      const kept = new Set<number>()
      return {
        alongside: {
          insertion: along.insertion,
          // Older entries that could not be written come first.
          rowsOf: (outcome, index) => (this.#fault ? [] : along.rowsOf(entriesOf(outcome, index))),
          kept: (index) => void kept.add(index),
        },
        done: (outcomes) => {
          for (const [index, outcome] of outcomes.entries()) if (!kept.has(index)) for (const entry of entriesOf(outcome, index)) this.#push(entry)
        },
      }
    }
    let written: readonly NewEntry[] | undefined
    return {
      alongside:
        alongside &&
        ((db, outcomes) => {
          written = undefined
          // Older entries that could not be written come first.
          if (this.#fault) return
          const entries = outcomes.flatMap(entriesOf)
          if (!entries.length) return
          try {
            alongside.add(db, entries)
            written = entries
          } catch {
            // The commands are carried out all the same; `done` writes the entries separately, and reports the error.
          }
        }),
      done: (outcomes) => {
        if (written) alongside?.stand(written)
        else for (const entry of outcomes.flatMap(entriesOf)) this.#push(entry)
      },
    }
  }

  /** Logs a beat, renewal or release that was refused. */
  noteVain(command: WireCommand, outcome: Outcome, caller?: Caller): void {
    const { type } = command
    if (outcome.type === 'ended' && type === 'beat') this.#attempt('renewal-failure', '', command, 'the session has ended', caller)
    if (outcome.type === 'refused' && type === 'renew') this.#attempt('renewal-failure', command.key, command, outcome.reason, caller)
    if (outcome.type === 'refused' && type === 'release') this.refuse(command, outcome.reason, caller)
  }

  /** Logs the grants of locks that are held but not in the log: their server died before it was written, or a process without a log made them. */
  async catchUp(views: readonly LockView[]): Promise<void> {
    for (const { key, holders } of views)
      for (const holder of holders)
        if (!(await this.#journal.hasGrant(shortKey(key), holder.token)))
          this.#push(entryOf('grant', key, holder, undefined, 'found when the server started'))
    await this.written()
  }

  /** Logs that a client tried something that it has no right to do, unless it does so very often. */
  refuse(what: About & { readonly key?: string }, why: string, caller?: Caller): void {
    this.#attempt('refusal', what.key ?? '', what, why, caller)
  }

  #attempt(kind: LogKind, key: string, about: About, why: string, caller?: Caller): void {
    const from = { who: caller?.name || undefined, address: caller?.address }
    const client = JSON.stringify([from.who, from.address])
    const omitted = this.#omitted.get(client)
    // A client with many addresses counts as one credential, and one that makes up names counts as one address.
    if (!this.#allowed(`address ${from.address}`) || (from.who !== undefined && !this.#allowed(`who ${from.who}`))) {
      if (omitted) omitted.count++
      else if (this.#omitted.size < backlog) this.#omitted.set(client, { count: 1, from })
      return
    }
    this.#omitted.delete(client)
    this.#push(entryOf(kind, key, about, caller, why, omitted?.count))
  }

  #push(entry: NewEntry): void {
    // While nothing can be written, attempts are not worth keeping.
    if (this.#fault && (isAttempt(entry.kind) || this.#entries.length >= backlog)) return
    this.#entries.push(entry)
    this.#written ??= this.#writeSoon()
    // The caller need not wait for the write; `written` reports its errors to callers that do.
    this.#written.catch(() => {})
  }

  /** How many entries are not written yet. */
  get unwritten(): number {
    return this.#entries.length + this.#underWay
  }

  /** Why the log cannot be written, if that prevents grants. */
  get fault(): LockError | undefined {
    return this.#options.required ? this.#fault : undefined
  }

  /**
   * Resolves when all entries so far are written: no client is told of something that the log may still lose.
   * @throws LockError `store` if it cannot be written, and is required
   */
  async written(): Promise<void> {
    await this.#written
    await this.#writing
    if (this.fault) throw this.fault
  }

  /** Writes once everything done in this turn is logged, and the current write is done. */
  async #writeSoon(): Promise<void> {
    await new Promise<void>((resolve) => process.nextTick(resolve))
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
      this.#fault = undefined
      this.#sinceTrim += entries.length
      if (this.#sinceTrim > this.#options.entries / 100 + 1_000) this.trim().catch(this.#failed)
    } catch (error) {
      if (!this.#fault) this.#failed(error)
      this.#fault = new LockError('store', `no lock is granted while the log cannot be written: ${(error as Error).message}`, { cause: error })
      const kept = entries.filter(({ kind }) => !isAttempt(kind))
      this.#entries = [...kept, ...this.#entries].slice(0, backlog)
      clearTimeout(this.#retry)
      this.#retry = setTimeout(() => {
        this.#written ??= this.#writeSoon()
      }, retryAfter)
      this.#retry.unref()
    } finally {
      this.#underWay = 0
    }
  }

  /** @param prefixes the entries' keys have to start with one of these; without it, all entries are found, also those without a key */
  async query(query: LogQuery, prefixes?: readonly string[]): Promise<LogEntry[]> {
    await this.#written
    await this.#writing
    return await this.#journal.query(query.key === undefined ? query : { ...query, key: shortKey(query.key) }, prefixes)
  }

  /** Logs how many attempts were left out, and drops entries that are too old or too many. */
  trim(): Promise<void> {
    this.#trimming ??= this.#trim().finally(() => {
      this.#trimming = undefined
    })
    return this.#trimming
  }

  async #trim(): Promise<void> {
    this.#sinceTrim = 0
    for (const [client, { count, from }] of this.#omitted) {
      this.#omitted.delete(client)
      this.#push({ at: Date.now(), kind: 'refusal', key: '', ...from, why: 'left out, since there were so many', omitted: count })
    }
    await this.#journal.trim(Date.now(), this.#options)
  }

  /** No longer retries a write that failed. */
  close(): void {
    clearTimeout(this.#retry)
  }
}
