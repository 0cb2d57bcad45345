import type { SqliteDatabase } from './driver.ts'

/** Runs a body in one transaction; if the body or the commit fails, everything is rolled back. */
export type Within = <T>(kind: 'read' | 'write', body: () => T) => T

export function transactions(db: SqliteDatabase): Within {
  const begin = { read: db.prepare('BEGIN'), write: db.prepare('BEGIN IMMEDIATE') }
  const commit = db.prepare('COMMIT')
  const rollback = db.prepare('ROLLBACK')

  return (kind, body) => {
    begin[kind].run()
    try {
      const result = body()
      commit.run()
      return result
    } catch (error) {
      try {
        rollback.run()
      } catch {
        // Some errors, such as a full disk, have rolled back already.
      }
      throw error
    }
  }
}
