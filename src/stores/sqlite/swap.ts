import { type Command, isAllFixed, type LockRecord, type Outcome, reduce, type SessionRow } from '../../protocol/index.ts'
import type { SqliteDatabase } from './driver.ts'
import { textOf } from './text.ts'

/**
 * The short path for one command on a record that was last seen here: a single statement, which changes the record if its text, and the texts of the
 * session rows it depends on, are unchanged. It takes half the time of a transaction that reads first.
 */
export interface Swap {
  /** Called when a transaction found this text: notes whether the short path would have worked. @returns the record, if it was last seen here */
  metRecord(key: string, text: string): LockRecord | undefined
  /** Notes what is in a table. If the note is wrong, or no longer true, it costs a failed attempt. */
  sawRecord(record: LockRecord, text: string): void
  sawSession(row: SessionRow, text: string): void
  /** `undefined` if there is no short path; nothing was done then. */
  apply(commands: readonly Command[], now: number): Outcome[] | undefined
}

interface Seen<T> {
  readonly value: T
  readonly text: string
}

export function makeSwap(db: SqliteDatabase): Swap {
  const records = new Map<string, Seen<LockRecord>>()
  const sessions = new Map<string, Seen<SessionRow>>()
  /** Records that other connections change as well: the short path is tried again once such a record was found unchanged. */
  const contended = new Set<string>()
  /** The statements, by the number of session rows that they check. */
  const swaps = Array.from({ length: maxSessions + 1 }, (_, rows) =>
    db.prepare(`UPDATE storelock_records SET record = ? WHERE key = ? AND record = ?${checkSession.repeat(rows)}`),
  )

  const sawRecord = (value: LockRecord, text: string): void => {
    // The caller could modify any other record, and the text would not show it.
    if (isAllFixed(value)) note(records, value.key, { value, text })
    else records.delete(value.key)
  }

  return {
    metRecord(key, text) {
      const seen = records.get(key)
      if (seen?.text !== text) return undefined
      contended.delete(key)
      return seen.value
    },
    sawRecord,
    sawSession: (value, text) => note(sessions, value.id, { value, text }),
    apply(commands, now) {
      const [command] = commands
      const before = command && 'key' in command && commands.length === 1 && records.get(command.key)
      if (!before || contended.has(command.key)) return undefined
      const { key } = command
      const rows: Seen<SessionRow>[] = []
      let known = true
      const session = (id: string): SessionRow | undefined => {
        const row = sessions.get(id)
        if (!row) known = false
        else if (!rows.includes(row)) rows.push(row)
        return row?.value
      }
      const { record, sessions: changed, outcome } = reduce(before.value, command, { now, session })
      const swap = swaps[rows.length]
      if (!known || !swap || !record || record === before.value || changed.length) return undefined
      const text = textOf(record)
      const [row] = rows as [Seen<SessionRow>]
      const { changes } =
        rows.length === 1
          ? swap.run(text, key, before.text, row.value.id, row.text)
          : swap.run(text, key, before.text, ...rows.flatMap((each) => [each.value.id, each.text]))
      if (!changes) {
        if (contended.size >= capacity) contended.clear()
        contended.add(key)
        return undefined
      }
      sawRecord(record, text)
      return [outcome]
    },
  }
}

const checkSession = ' AND EXISTS (SELECT 1 FROM storelock_sessions WHERE id = ? AND session = ?)'

/** How many sessions the short path may depend on: the one that requests or releases, the holder, and those next in the queue. */
const maxSessions = 4

/** How many rows are remembered. */
const capacity = 1_000

function note<T>(seen: Map<string, T>, id: string, value: T): void {
  if (seen.size >= capacity) seen.clear()
  seen.set(id, value)
}
