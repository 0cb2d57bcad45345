import { copyFileSync, mkdtempSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'

const require = createRequire(import.meta.url)

export const driverPath = require.resolve('better-sqlite3')

/** The driver's native code. */
export const addon = join(dirname(require.resolve('better-sqlite3/package.json')), 'build/Release/better_sqlite3.node')

/** Opens a file in WAL mode with a separate copy of SQLite, which only this connection uses. Puts the copy's native code beside the file. */
export function openInAnotherCopy(path: string): Database.Database {
  const nativeBinding = join(mkdtempSync(join(dirname(path), 'copy-')), 'sqlite.node')
  copyFileSync(addon, nativeBinding)
  const db = new Database(path, { nativeBinding })
  db.pragma('journal_mode = WAL')
  return db
}
