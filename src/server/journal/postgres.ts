import { LockError } from '../../protocol/index.ts'
import type { Beside } from '../../stores/postgres/beside.ts'
import { endOf } from '../../stores/sqlite/text.ts'
import type { Journal, NewEntry } from '../journal.ts'
import type { LogEntry, LogQuery } from '../wire.ts'
import { isAttempt, isRare, journalTables, journalVersion, share } from './postgres-tables.ts'
import { dropsFrom } from './shares.ts'

const columns = ['at', 'kind', 'key', 'session', 'token', 'who', 'address', 'why', 'omitted'] as const
/** How many entries one statement drops. */
const few = 5_000
/** For how long a count of the entries is reused, in ms. */
const fresh = 10_000
/** How long after its last sign of life a server still counts as running, in seconds. */
const alive = 45

/** A journal in tables beside the store's, shared by all lock servers of the database. */
export async function postgresJournal({ schema: s, query, title }: Beside): Promise<Journal> {
  const version = async (): Promise<number | undefined> => {
    const [{ table }] = await query('SELECT to_regclass($1)::text AS table', [`${s}.lock_log`])
    if (table === null) return undefined
    const [row] = await query(`SELECT value FROM ${s}.lock_journal WHERE name = 'version'`)
    return Number(row?.value)
  }
  // One server at a time: even IF NOT EXISTS fails if two create a table at once. Several statements in one text are one transaction.
  if ((await version()) === undefined) await query(`SELECT pg_advisory_xact_lock(1937010795); ${journalTables(s)}`)
  const found = (await version()) ?? 0
  if (found > journalVersion)
    throw new LockError(
      'store',
      `${title()}: the tables of its log were made by a newer storelock (journal ${found}, this one knows ${journalVersion}): update storelock`,
    )

  const insertion = (parameter: string): string =>
    `INSERT INTO ${s}.lock_log (${columns}) SELECT ${columns} FROM json_to_recordset(${parameter}::json) AS entry (at bigint, kind text, key text, session text, token bigint, who text, address text, why text, omitted integer)`

  const ownersOf = async (sessions: readonly string[]): Promise<Map<string, string>> => {
    const rows = await query(`SELECT session, owner FROM ${s}.lock_owners WHERE session = ANY ($1)`, [sessions.filter(isStorable)])
    return new Map(rows.map(({ session, owner }) => [session, owner]))
  }

  /** The clients that have to lose entries, each with the number that it may keep. */
  const levels = async (entries: number): Promise<[whose: string, level: number][]> => {
    const rows = await query(`SELECT ${share} AS share, count(*) AS count FROM ${s}.lock_log WHERE NOT (${isAttempt}) GROUP BY 1`)
    const shares = new Map<string, number>(rows.map(({ share, count }) => [share, Number(count)]))
    const excess = [...shares.values()].reduce((sum, one) => sum + one, 0) - entries
    return excess > 0 ? [...dropsFrom(shares, excess)].map(([whose, much]) => [whose, (shares.get(whose) ?? 0) - much]) : []
  }

  const drop = async (which: string, values: readonly unknown[]): Promise<void> => {
    for (;;) {
      const [{ count }] = await query(
        `WITH dropped AS (DELETE FROM ${s}.lock_log WHERE id IN (SELECT id FROM ${s}.lock_log WHERE ${which} ORDER BY id LIMIT ${few}) RETURNING 1) SELECT count(*) AS count FROM dropped`,
        values,
      )
      if (Number(count) < few) return
    }
  }

  let size: { readonly count: number; readonly at: number } | undefined

  return {
    async bind(sessions, owner, at) {
      const bad = sessions.find((session) => !isStorable(session))
      if (bad !== undefined) throw new LockError('invalid', `${JSON.stringify(bad)} has a NUL character or a lone surrogate, which cannot be stored`)
      for (;;) {
        // This waits for another server that is binding one of these sessions.
        await query(`INSERT INTO ${s}.lock_owners (session, owner, at) SELECT unnest($1::text[]), $2, $3 ON CONFLICT DO NOTHING`, [
          sessions,
          owner,
          at,
        ])
        const owners = await ownersOf(sessions)
        // If one has been forgotten in the meantime, try again.
        if (sessions.every((session) => owners.has(session))) return sessions.map((session) => owners.get(session) as string)
      }
    },
    ownerOf: async (session) => (await ownersOf([session])).get(session),
    async boundBefore(at, after, limit) {
      const rows = await query(`SELECT session FROM ${s}.lock_owners WHERE session > $1 AND at < $2 ORDER BY session LIMIT $3`, [after, at, limit])
      return rows.map(({ session }) => session)
    },
    unbind: async (sessions) => void (await query(`DELETE FROM ${s}.lock_owners WHERE session = ANY ($1)`, [sessions])),
    append: async (entries) => void (await query(`${insertion('$1')} WHERE TRUE`, [JSON.stringify(entries.map(storable))])),
    along: { insertion, rowsOf: (entries) => entries.map(storable) },
    async hasGrant(key, token) {
      const [row] = await query(`SELECT 1 FROM ${s}.lock_log WHERE key = $1 AND token = $2 AND kind = 'grant' LIMIT 1`, [text(key), token])
      return row !== undefined
    },
    async query(asked, prefixes) {
      const values: unknown[] = []
      const bind = (value: unknown): string => `$${values.push(value)}`
      const tests = testsOf(asked, prefixes, bind)
      const rows = await query(
        `SELECT id, ${columns} FROM ${s}.lock_log WHERE ${tests.join(' AND ') || 'TRUE'} ORDER BY id DESC LIMIT ${bind(asked.limit)}`,
        values,
      )
      return rows.map(entryOf)
    },
    async size() {
      const now = performance.now()
      if (!size || now - size.at > fresh) {
        const [{ count }] = await query(`SELECT count(*) AS count FROM ${s}.lock_log WHERE NOT (${isAttempt})`)
        size = { count: Number(count), at: now }
      }
      return size.count
    },
    async trim(now, { age, entries, refusals }) {
      // Entries are in the order of time, so the oldest ones are found without an index. A server whose clock is behind only delays their end.
      const [oldest] = await query(`SELECT at FROM ${s}.lock_log ORDER BY id LIMIT 1`)
      if (oldest && Number(oldest.at) < now - age) await drop('at < $1', [now - age])
      // Drop entries up to an id and not a number of entries: another server may be trimming at the same time.
      const cut = async (which: string, keep: number, ...values: readonly unknown[]): Promise<void> => {
        const [bound] = await query(`SELECT id FROM ${s}.lock_log WHERE ${which} ORDER BY id DESC LIMIT 1 OFFSET ${keep}`, values)
        if (bound) await drop(`${which} AND id <= $${values.length + 1}`, [...values, bound.id])
      }
      await cut(`${isAttempt} AND ${isRare}`, refusals)
      for (const [whose, level] of await levels(entries)) await cut(`NOT (${isAttempt}) AND ${share} = $1`, level, whose)
      size = undefined
    },
    touch: async () =>
      void (await query(`INSERT INTO ${s}.lock_journal VALUES ('touched', $1) ON CONFLICT (name) DO UPDATE SET value = $1`, [Date.now()])),
    attend: async (session, wait) => void (await query(`UPDATE ${s}.lock_owners SET wait = $2 WHERE session = $1`, [session, wait])),
    async attendedBy(session) {
      const [row] = await query(`SELECT wait FROM ${s}.lock_owners WHERE session = $1`, [session])
      return row?.wait ?? undefined
    },
    async meet({ id, name, signs, knows }) {
      await query(`DELETE FROM ${s}.lock_servers WHERE seen < clock_timestamp() - make_interval(secs => ${alive})`)
      await query(
        `INSERT INTO ${s}.lock_servers VALUES ($1, $2, $3, $4, clock_timestamp()) ON CONFLICT (id) DO UPDATE SET signs = $3, knows = $4, seen = clock_timestamp()`,
        [id, name, signs, knows],
      )
      return await query(`SELECT id, name, signs, knows FROM ${s}.lock_servers WHERE id <> $1`, [id])
    },
    leave: async (id) => void (await query(`DELETE FROM ${s}.lock_servers WHERE id = $1`, [id])),
    async close() {},
  }
}

function testsOf(
  { key, prefix, kind, since, until, before }: LogQuery,
  prefixes: readonly string[] | undefined,
  bind: (value: unknown) => string,
): string[] {
  const within = (some: readonly string[]): string => `(${some.map((each) => range(text(each), bind)).join(' OR ') || 'FALSE'})`
  return [
    ...(key === undefined ? [] : [`key = ${bind(text(key))}`]),
    ...(prefix === undefined || prefix === '' ? [] : [within([prefix])]),
    ...(prefixes ? [`key <> ''`, ...(prefixes.includes('') ? [] : [within(prefixes)])] : []),
    ...(kind === undefined ? [] : [`kind = ${bind(kind)}`, ...(kind === 'grant' || kind === 'release' ? [] : [isRare])]),
    ...(since === undefined ? [] : [`at >= ${bind(since)}`]),
    ...(until === undefined ? [] : [`at <= ${bind(until)}`]),
    ...(before === undefined ? [] : [`id < ${bind(before)}`]),
  ]
}

/** A condition for keys that start with a prefix, which uses the index of keys. */
function range(prefix: string, bind: (value: unknown) => string): string {
  const end = endOf(prefix)
  return `(key >= ${bind(prefix)} AND ${typeof end === 'string' ? `key < ${bind(end)}` : 'TRUE'})`
}

/** Postgres refuses NULs, and an attacker may send anything as a key. */
const text = (given: string): string => given.replace(/\0|\p{Surrogate}/gu, '\uFFFD')

const isStorable = (given: string): boolean => text(given) === given

const storable = (entry: NewEntry): NewEntry =>
  Object.fromEntries(Object.entries(entry).map(([name, value]) => [name, typeof value === 'string' ? text(value) : value])) as unknown as NewEntry

const numbers: ReadonlySet<string> = new Set(['id', 'at', 'token', 'omitted'])

/** Drivers return large numbers as text. */
const entryOf = (row: object): LogEntry =>
  Object.fromEntries(
    Object.entries(row).flatMap(([name, value]) => (value === null ? [] : [[name, numbers.has(name) ? Number(value) : value]])),
  ) as unknown as LogEntry
