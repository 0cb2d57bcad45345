import Database from 'better-sqlite3'

/** Whether the import of better-sqlite3 is really `node:sqlite` here: see `test/node-sqlite/`. */
export const isBuiltIn = Object.getPrototypeOf(Database).name === 'DatabaseSync'

const codes = { READONLY: 8, FULL: 13, CANTOPEN: 14, NOTADB: 26 }

/** The members by which a driver's error shows one of SQLite's error codes. */
export const failure = (name: keyof typeof codes): object =>
  isBuiltIn ? { code: 'ERR_SQLITE_ERROR', errcode: codes[name] } : { code: `SQLITE_${name}` }
