import { type Command, decodeRecord, decodeSession, type LockView, type Outcome, type SessionRow, viewOf } from '../../protocol/index.ts'
import type { Attempts } from './attempts.ts'
import type { Engine } from './engine.ts'
import { type Row, recordId, sessionId } from './rows.ts'

/** Reads what others have written. */
export interface Looks {
  /** The views of those of these keys that have records. */
  look(keys: readonly string[], reader?: string): Promise<LockView[]>
  /** Adds what beats are to show of other sessions, which is asked at the same time. */
  withStale(commands: readonly Command[], applied: Promise<Outcome[]>): Promise<Outcome[]>
}

export function makeLooks<Version>(engine: Engine<Version>, { memory, fetch }: Attempts<Version>): Looks {
  const staleRows = async (after: string | undefined): Promise<SessionRow[]> => {
    // What a beat learns of others is a hint.
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
      // It probably leans on the same sessions as when it was last seen.
      view((id) => {
        wanted.add(id)
        return memory.get(id)
      })
    } catch {
      // It could not be read then.
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

/** What the row of a session says. */
export const sessionOf = (id: string, row: Row<unknown> | undefined): SessionRow | undefined => row && decodeSession(id, row.text)
