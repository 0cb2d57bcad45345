import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Two migrations that must not run twice, since the second one adds a row. It calls a function that the test defines. */
export const migrations = [
  { name: '001_notes', sql: 'CREATE TABLE notes (text TEXT NOT NULL)' },
  { name: '002_first', sql: "INSERT INTO notes SELECT 'first' WHERE meddle()" },
]

/** Writes the migrations in drizzle-kit's format. */
export function writeFolder(folder: string): void {
  mkdirSync(join(folder, 'meta'), { recursive: true })
  for (const { name, sql } of migrations) writeFileSync(join(folder, `${name}.sql`), sql)
  const entries = migrations.map(({ name }, idx) => ({ idx, version: '6', when: 1_700_000_000_000 + idx, tag: name, breakpoints: true }))
  writeFileSync(join(folder, 'meta', '_journal.json'), JSON.stringify({ version: '7', dialect: 'sqlite', entries }))
}
