import { type Command, decodeRecord, decodeSession, type LockView, type Outcome, type SessionRow, viewOf } from '../../protocol/index.ts'
import type { Attempts } from './attempts.ts'
import type { Engine } from './engine.ts'
import { type Row, recordId, sessionId } from './rows.ts'

/** Reads the records and rows that other sessions have written. */
export interface Looks {
  /** The views of these keys' records; a key without a record is left out. */
  look(keys: readonly string[], reader?: string): Promise<LockView[]>
  /** Adds other sessions' rows to the outcomes of beats. They are read while the commands are carried out. */
  withStale(commands: readonly Command[], applied: Promise<Outcome[]>): Promise<Outcome[]>
}

export function makeLooks<Version>(engine: Engine<Version>, { memory, fetch }: Attempts<Version>): Looks {
  const staleRows = async (after: string | undefined): Promise<SessionRow[]> => {
    // A beat shows other sessions' rows as a hint only, so it may do without them.
    const found = await engine.stale(engine.now(), after).catch(() => [])
    return found.flatMap(([id, text]) => {
      try {
        return [decodeSession(id, text)]
      } catch {
        return []
      }
    })
  }

  const withStale = async (commands: readonly Command[], applied: Promise<Outcome[]>): Promise<Outcome[]> => {
    const asked = new Map<string | undefined, Promise<SessionRow[]>>()
    const shown = commands.map((command) => {
      if (command.type !== 'beat') return []
      const rows = asked.get(command.others) ?? staleRows(command.others)
      asked.set(command.others, rows)
      return rows
    })
    const [outcomes, rows] = await Promise.all([applied, Promise.all(shown)])
    return outcomes.map((outcome, index) => (outcome.type === 'beaten' ? { ...outcome, stale: rows[index] ?? [] } : outcome))
  }

  const look = async (keys: readonly string[], reader?: string): Promise<LockView[]> => {
    const view = (get: (id: string) => Row<Version> | undefined): LockView[] =>
      keys.flatMap((key) => {
        const row = get(recordId(key))
        const session = (id: string): SessionRow | undefined => sessionOf(id, get(sessionId(id)))
        return row ? [viewOf(decodeRecord(key, row.text), session, reader)] : []
      })
    const wanted = new Set(keys.map(recordId))
    try {
      // A record probably leans on the same sessions as when it was last seen.
      view((id) => {
        wanted.add(id)
        return memory.get(id)
      })
    } catch {
      // The record could not be decoded then.
    }
    for (const rows = await fetch(wanted); ; ) {
      const unknown = new Set<string>()
      const views = view((id) => {
        if (!rows.has(id)) unknown.add(id)
        return rows.get(id)
      })
      if (!unknown.size) return views
      for (const [id, row] of await fetch(unknown)) rows.set(id, row)
    }
  }

  return { look, withStale }
}

/** The session, decoded from its row. */
export const sessionOf = (id: string, row: Row<unknown> | undefined): SessionRow | undefined => row && decodeSession(id, row.text)
