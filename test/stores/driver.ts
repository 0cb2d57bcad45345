import Database from 'better-sqlite3'

/** Whether these tests run on `node:sqlite`, under the name of better-sqlite3: see `test/node-sqlite/`. */
export const isBuiltIn = Object.getPrototypeOf(Database).name === 'DatabaseSync'

const codes = { READONLY: 8, FULL: 13, CANTOPEN: 14, NOTADB: 26 }

/** What tells one of SQLite's errors in what the driver throws. */
export const failure = (name: keyof typeof codes): object =>
  isBuiltIn ? { code: 'ERR_SQLITE_ERROR', errcode: codes[name] } : { code: `SQLITE_${name}` }
