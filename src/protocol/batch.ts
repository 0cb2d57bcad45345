import type { Command, KeyCommand, Outcome } from './commands.ts'
import { LockError } from './errors.ts'
import { emptyRecord, type LockRecord, type SessionRow } from './record.ts'
import { reduce, reduceSession } from './reduce.ts'

/** What a store's transaction provides. Its methods may throw a `LockError`, which fails the commands that need the row. */
export interface Ground {
  readonly now: number
  /** The highest token of any record that was dropped. */
  readonly floor: number
  record(key: string): LockRecord | undefined
  /** What the store remembers of a key whose record other code removed: its holders do not know yet that they lost the lock. */
  remains?(key: string): LockRecord | undefined
  session(id: string): SessionRow | undefined
  /**
   * Up to 16 rows. With `after`: those that follow this id in the order of ids, wrapping around at the end, each once. Without it: the oldest of
   * those whose `expiresAt` is past, because their sessions may be gone.
   */
  stale(after: string | undefined): readonly SessionRow[]
}

/** What a store has to write, in the same transaction; `undefined` means delete. */
export interface Changes {
  readonly outcomes: Outcome[]
  readonly records: ReadonlyMap<string, LockRecord | undefined>
  readonly sessions: ReadonlyMap<string, SessionRow | undefined>
  /** The new floor, if it rose. */
  readonly floor: number | undefined
}

/** Carries out a batch, in order. A command that is refused or fails is an outcome, and does not affect the others. */
export function runBatch(commands: readonly Command[], ground: Ground): Changes {
  const records = new Map<string, LockRecord | undefined>()
  const sessions = new Map<string, SessionRow | undefined>()
  let risen: number | undefined
  // Read only if a record is missing: it costs one more row.
  const floor = (): number => risen ?? ground.floor
  const session = (id: string): SessionRow | undefined => (sessions.has(id) ? sessions.get(id) : ground.session(id))
  const context = { now: ground.now, session }

  const carryOut = (command: Command): Outcome => {
    if (!('key' in command)) {
      const { row, outcome } = reduceSession(session(command.session), command, context)
      sessions.set(command.session, row)
      return outcome.type === 'beaten' && command.type === 'beat' ? { ...outcome, stale: ground.stale(command.others) } : outcome
    }
    const { key } = command
    const found = records.has(key) ? records.get(key) : ground.record(key)
    const remains = found || records.has(key) ? undefined : ground.remains?.(key)
    if (remains) return afterRevoke(remains, command)
    const before = found ?? emptyRecord(key, floor())
    const step = reduce(before, command, context)
    if (step.record === undefined) risen = Math.max(floor(), before.token)
    if (step.record !== before) records.set(key, step.record)
    for (const row of step.sessions) sessions.set(row.id, row)
    return step.outcome
  }

  /** The holders of a record that was removed have lost the lock and must be notified. */
  const afterRevoke = (remains: LockRecord, command: KeyCommand): Outcome => {
    records.set(remains.key, remains)
    const revoked = carryOut({ type: 'revoke', key: remains.key })
    const outcome = carryOut(command)
    return 'evicted' in revoked && 'evicted' in outcome ? { ...outcome, evicted: [...revoked.evicted, ...outcome.evicted] } : outcome
  }

  const outcomes = commands.map((command): Outcome => {
    try {
      return carryOut(command)
    } catch (error) {
      if (error instanceof LockError) return { type: 'failed', code: error.code, message: error.message }
      throw error
    }
  })
  return { outcomes, records, sessions, floor: risen }
}
