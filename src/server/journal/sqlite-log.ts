import type { SqliteDatabase, SqliteStatement } from '../../stores/sqlite/driver.ts'
import { endOf } from '../../stores/sqlite/text.ts'
import { isAttempt, type Journal, nextTurn, step } from '../journal.ts'
import type { LogEntry, LogQuery } from '../wire.ts'
import { dropsFrom, shareOf } from './shares.ts'

const share = `coalesce(who, address, '')`

/** The rare kinds: nearly all entries are grants and releases. */
const isRare = `kind NOT IN ('grant', 'release')`

export const logTables = `
  CREATE TABLE IF NOT EXISTS storelock_log (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL, session TEXT, token INTEGER, who TEXT, address TEXT, why TEXT
  );
  CREATE INDEX IF NOT EXISTS storelock_log_key ON storelock_log (key);
  CREATE INDEX IF NOT EXISTS storelock_log_rare ON storelock_log (kind) WHERE ${isRare};
  CREATE INDEX IF NOT EXISTS storelock_log_share ON storelock_log (${share});
  CREATE TABLE IF NOT EXISTS storelock_attempts (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL, session TEXT, token INTEGER, who TEXT, address TEXT, why TEXT, omitted INTEGER
  );
`

/** How many entries are dropped in one turn of the event loop: each is in several indexes, so that takes time. */
const few = 250

/** One table for the history, one for attempts. Their entries are numbered together. */
type Table = 'storelock_log' | 'storelock_attempts'

const lastId = `SELECT max((SELECT coalesce(max(id), 0) FROM storelock_log), (SELECT coalesce(max(id), 0) FROM storelock_attempts)) AS id`

const columns = ['at', 'kind', 'key', 'session', 'token', 'who', 'address', 'why'] as const

/** A part of a WHERE clause, with its bound values. */
interface Test {
  readonly sql: string
  readonly values: readonly unknown[]
}

const insertion = `INSERT INTO storelock_log (id, ${columns}) VALUES (?, ${columns.map(() => '?')})`

/** The statements of one connection that add to the history. */
interface Insertion {
  readonly insert: SqliteStatement
  readonly last: SqliteStatement
}

type When = <T>(run: () => T) => Promise<T>

/**
 * The log's part of a journal.
 * @param whenIdle runs a step as soon as the database is not busy
 * @param write runs a step in a transaction
 */
export function openLog(
  db: SqliteDatabase,
  whenIdle: When,
  write: When,
): Pick<Journal, 'append' | 'alongside' | 'hasGrant' | 'query' | 'size' | 'trim'> {
  const attempt = db.prepare(`INSERT INTO storelock_attempts (id, ${columns}, omitted) VALUES (?, ${columns.map(() => '?')}, ?)`)
  const last = db.prepare(lastId)
  const insertions = new WeakMap<SqliteDatabase, Insertion>()
  const insertionBy = (db: SqliteDatabase): Insertion => {
    const known = insertions.get(db)
    if (known) return known
    const made = { insert: db.prepare(insertion), last: db.prepare(lastId) }
    insertions.set(db, made)
    return made
  }
  const { insert } = insertionBy(db)
  const grant = db.prepare(`SELECT 1 FROM storelock_log WHERE key = ? AND token = ? AND kind = 'grant'`)
  const dropOld = (table: Table) =>
    db.prepare(
      `DELETE FROM ${table} WHERE id IN (SELECT id FROM ${table} ORDER BY id LIMIT ${few}) AND at < ? AND id < (SELECT max(id) FROM ${table})
       RETURNING ${share} AS share`,
    )
  const dropOldEntries = dropOld('storelock_log')
  const dropOldAttempts = dropOld('storelock_attempts')
  const dropOf = db.prepare(`DELETE FROM storelock_log WHERE id IN (SELECT id FROM storelock_log WHERE ${share} = ? ORDER BY id LIMIT ?)`)
  const bound = db.prepare('SELECT id FROM storelock_attempts ORDER BY id DESC LIMIT 1 OFFSET ?')
  const dropUpTo = db.prepare('DELETE FROM storelock_attempts WHERE id <= ?')
  const countOf = db.prepare(`SELECT count(*) AS count FROM (SELECT 1 FROM storelock_log WHERE key >= ? AND key < ? LIMIT ${2 * step + 1})`)
  /** How many entries of the history each client has. Counted once and then kept up to date, since counting takes long. */
  const shares = new Map(
    (db.prepare(`SELECT ${share} AS share, count(*) AS count FROM storelock_log GROUP BY 1`).all() as { share: string; count: number }[]).map(
      (row) => [row.share, row.count],
    ),
  )
  const count = (whose: string, more: number): void => {
    const left = (shares.get(whose) ?? 0) + more
    if (left > 0) shares.set(whose, left)
    else shares.delete(whose)
  }

  /** Walks back through a table from `before`, a step at a time, along an index if `path` names one. */
  const walk = async (table: Table, path: Test | undefined, tests: readonly Test[], { before, since, limit }: LogQuery): Promise<LogEntry[]> => {
    const found: LogEntry[] = []
    const along = path ? `${path.sql} AND ` : ''
    const keys = path?.values ?? []
    const [wanted, bound] = joined(tests)
    for (let high = before ?? Number.MAX_SAFE_INTEGER; ; await nextTurn()) {
      const [rows, low] = await whenIdle(() => {
        const lowest = db.prepare(`SELECT id FROM ${table} WHERE ${along}id < ? ORDER BY id DESC LIMIT 1 OFFSET ${step - 1}`)
        const low = (lowest.get(...keys, high) as { id: number } | undefined)?.id
        const read = db.prepare(`SELECT * FROM ${table} WHERE ${along}id < ? AND id >= ?${wanted} ORDER BY id DESC LIMIT ?`)
        const rows = read.all(...keys, high, low ?? 0, ...bound, limit - found.length) as object[]
        if (low === undefined || since === undefined) return [rows, low] as const
        // If all entries of a step are too old, so are all entries before it.
        const newest = db.prepare(`SELECT max(at) AS at FROM ${table} WHERE ${along}id < ? AND id >= ?`).get(...keys, high, low) as { at: number }
        return [rows, newest.at < since ? undefined : low] as const
      })
      found.push(...rows.map(withoutNulls))
      if (low === undefined || found.length >= limit) return found
      high = low
    }
  }

  /** All entries whose keys are in these ranges, through the index of keys. For ranges with few entries. */
  const gather = (ranges: Test, tests: readonly Test[], { before, limit }: LogQuery): Promise<LogEntry[]> => {
    const [wanted, bound] = joined(tests)
    // The plus keeps SQLite from using the index of ids.
    const sql = `SELECT * FROM storelock_log WHERE ${ranges.sql} AND +id < ?${wanted} ORDER BY +id DESC LIMIT ?`
    const values = [...ranges.values, before ?? Number.MAX_SAFE_INTEGER, ...bound, limit]
    return whenIdle(() => (db.prepare(sql).all(...values) as object[]).map(withoutNulls))
  }

  const hasFew = (prefixes: readonly string[]): Promise<boolean> =>
    whenIdle(() => {
      let count = 0
      for (const prefix of prefixes.slice(0, 10)) count += (countOf.get(prefix, endOf(prefix)) as { count: number }).count
      return prefixes.length <= 10 && count <= 2 * step
    })

  const inTable = async (table: Table, query: LogQuery, prefixes: readonly string[] | undefined): Promise<LogEntry[]> => {
    const { key, prefix, kind, since, until } = query
    const tests: Test[] = []
    if (since !== undefined) tests.push({ sql: 'at >= ?', values: [since] })
    if (until !== undefined) tests.push({ sql: 'at <= ?', values: [until] })
    if (kind !== undefined) tests.push({ sql: 'kind = ?', values: [kind] })
    if (prefixes) tests.push({ sql: `key <> ''`, values: [] }, rangesOf(prefixes))
    if (prefix !== undefined) tests.push(rangesOf([prefix]))
    if (key !== undefined) return await walk(table, { sql: 'key = ?', values: [key] }, tests, query)
    if (table === 'storelock_log') {
      const narrow = prefix !== undefined ? [prefix] : prefixes
      if (narrow?.every((each) => each !== '') && (await hasFew(narrow))) return await gather(rangesOf(narrow), tests, query)
      if (kind !== undefined && kind !== 'grant' && kind !== 'release')
        return await walk(table, { sql: `${isRare} AND kind = ?`, values: [kind] }, tests, query)
    }
    return await walk(table, undefined, tests, query)
  }

  return {
    append: (entries) =>
      write(() => {
        let { id } = last.get() as { id: number }
        for (const entry of entries) {
          const values = columns.map((column) => entry[column] ?? null)
          if (isAttempt(entry.kind)) attempt.run(++id, ...values, entry.omitted ?? null)
          else insert.run(++id, ...values)
        }
      }).then(() => {
        for (const entry of entries) if (!isAttempt(entry.kind)) count(shareOf(entry), 1)
      }),
    alongside: {
      add(db, entries) {
        const { insert, last } = insertionBy(db)
        let { id } = last.get() as { id: number }
        for (const entry of entries) insert.run(++id, ...columns.map((column) => entry[column] ?? null))
      },
      stand(entries) {
        for (const entry of entries) count(shareOf(entry), 1)
      },
    },
    hasGrant: (key, token) => whenIdle(() => grant.get(key, token) !== undefined),
    async query(query, prefixes) {
      const { kind, limit } = query
      const tables: Table[] =
        kind === undefined ? ['storelock_log', 'storelock_attempts'] : [isAttempt(kind) ? 'storelock_attempts' : 'storelock_log']
      const found: LogEntry[] = []
      for (const table of tables) found.push(...(await inTable(table, query, prefixes)))
      return found.sort((a, b) => b.id - a.id).slice(0, limit)
    },
    size: async () => sizeOf(shares),
    async trim(now, { age, entries, refusals }) {
      const repeat = async (drop: () => number): Promise<void> => {
        while ((await write(drop)) === few) await nextTurn()
      }
      await repeat(() => {
        const dropped = dropOldEntries.all(now - age) as { share: string }[]
        for (const { share } of dropped) count(share, -1)
        return dropped.length
      })
      await repeat(() => dropOldAttempts.all(now - age).length)
      await write(() => {
        const { id } = (bound.get(refusals) as { id: number } | undefined) ?? {}
        if (id !== undefined) dropUpTo.run(id)
      })
      const excess = sizeOf(shares) - entries
      if (excess <= 0) return
      for (const [whose, much] of dropsFrom(shares, excess)) {
        for (let left = much; left > 0; left -= few) {
          const dropped = await write(() => Number(dropOf.run(whose, Math.min(left, few)).changes))
          count(whose, -dropped)
          await nextTurn()
        }
      }
    },
  }
}

const sizeOf = (shares: ReadonlyMap<string, number>): number => [...shares.values()].reduce((sum, one) => sum + one, 0)

/** A test for keys that start with one of these prefixes. */
const rangesOf = (prefixes: readonly string[]): Test => ({
  sql: `(${prefixes.map(() => '(key >= ? AND key < ?)').join(' OR ') || 'FALSE'})`,
  values: prefixes.flatMap((prefix) => [prefix, endOf(prefix)]),
})

const joined = (tests: readonly Test[]): [string, unknown[]] => [
  tests.map(({ sql }) => ` AND ${sql}`).join(''),
  tests.flatMap(({ values }) => values),
]

const withoutNulls = (row: object): LogEntry => Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null)) as unknown as LogEntry
