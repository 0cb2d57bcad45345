// Every process and thread of these tests loads this file first. It hides better-sqlite3 from programs, since that was built for another
// Node or would be a second copy of SQLite, and gives node:sqlite to tests that import better-sqlite3.
import { registerHooks } from 'node:module'

const isBetterSqlite3 = (specifier: string): boolean => specifier === 'better-sqlite3' || specifier.includes('/node_modules/better-sqlite3/')

registerHooks({
  resolve(specifier, context, next) {
    if (!isBetterSqlite3(specifier)) return next(specifier, context)
    if (context.conditions.includes('require')) throw Object.assign(new Error('better-sqlite3 is not to be found here'), { code: 'MODULE_NOT_FOUND' })
    return { url: new URL('database.ts', import.meta.url).href, format: 'module-typescript', shortCircuit: true }
  },
})
