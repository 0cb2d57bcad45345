import { createHash, randomBytes } from 'node:crypto'
import { isEmpty, LockError, lastTokenOf } from '../../protocol/index.ts'
import { type Engine, type Noted, recordId, sessionId, type Write } from '../remote.ts'
import { type Connections, codeOf, explainError, isOfServer, type PostgresClient } from './connect.ts'
import { longestId, postgresSchema, postgresVersion } from './schema.ts'

export interface PostgresEngine extends Engine<string> {
  /** Creates the store's schema unless it exists. Rejects if a newer version of storelock created it. */
  ready(): Promise<void>
}

/** Whether a statement failed because our tables or functions do not exist. */
export const isMissing = (error: unknown): boolean => ['42P01', '42883', '3F000'].includes(codeOf(error) ?? '')

/** The id under which a row is stored: a hash if the row's own id is too long for an index. */
export const shortId = (id: string): string =>
  id.length * 3 > longestId && Buffer.byteLength(id) > longestId ? `h:${createHash('sha256').update(id).digest('hex')}` : id

interface EngineOptions {
  readonly connect: () => Promise<Connections<PostgresClient>>
  readonly title: () => string
  readonly schema: string
  readonly now: (() => number) | undefined
  /** In ms. */
  readonly timeout: number
  /** Called when our tables were dropped. */
  dropped(): void
}

export function postgresEngine({ connect, title, schema, now, timeout, dropped }: EngineOptions): PostgresEngine {
  const s = `"${schema.replaceAll('"', '""')}"`
  /** By how much the server's clock is ahead of ours, in ms. */
  let ahead = 0
  let preparing: Promise<void> | undefined

  /** Makes our versions unique, also among versions that were lost when a replica replaced the server. */
  const nonce = randomBytes(12).toString('base64url')
  let commits = 0

  /** The prefix of our prepared statements' names. It differs between schemas and versions, and is short because Postgres truncates long names. */
  const names = `storelock_${createHash('sha256').update(postgresSchema(schema)).digest('hex').slice(0, 16)}`

  const time = now ?? (() => Date.now() + ahead)

  const noteTime = (sent: number, ms: number): void => {
    ahead = ms - (sent + Date.now()) / 2
  }

  const prepare = async ({ query, lendOwn }: Connections<PostgresClient>): Promise<void> => {
    const found = await query(`SELECT body FROM ${s}.lock_rows WHERE id = 'version'`).catch((error) => {
      if (isMissing(error)) return []
      throw error
    })
    if (!found.length) {
      // One process at a time: even IF NOT EXISTS fails if two processes run it at once.
      await lendOwn(async (client) => {
        try {
          await client.query(`BEGIN; SELECT pg_advisory_xact_lock(1937010795); ${postgresSchema(schema)}; COMMIT`)
        } catch (error) {
          await client.query('ROLLBACK').catch(() => {})
          throw error
        }
      })
      return
    }
    const version = Number(found[0].body)
    if (version > postgresVersion) {
      throw new LockError(
        'store',
        `${title()}: a newer storelock made its tables (version ${version}, this one knows ${postgresVersion}): update storelock`,
      )
    }
  }

  const ready = async (): Promise<void> => {
    preparing ??= connect()
      .then(prepare)
      .catch((error) => {
        preparing = undefined
        throw error
      })
    await preparing
  }

  // biome-ignore lint/suspicious/noExplicitAny: a row has whatever the statement asks for
  const ask = async (name: string, text: string, ...values: unknown[]): Promise<any[]> => {
    for (let isFirst = true; ; isFirst = false) {
      let prepared: Promise<void> | undefined
      try {
        await ready()
        prepared = preparing
        const { query } = await connect()
        return await query(text, values, `${names}_${name}`)
      } catch (error) {
        if (!isFirst || !isMissing(error)) throw explainError(error, title())
        if (prepared && prepared === preparing) {
          preparing = undefined
          dropped()
        }
      }
    }
  }

  const commit = `${s}.lock_commit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)::text`

  /**
   * Commits changes and notes in one statement: one transaction and one round trip.
   * @returns `undefined` if the server refused it: a problem with the notes' tables must not keep locks from being released
   */
  // biome-ignore lint/suspicious/noExplicitAny: a row has whatever the statement asks for
  const commitNoted = async (values: unknown[], { insertion, rows, kept }: Noted): Promise<any[] | undefined> => {
    const text = `WITH done AS MATERIALIZED (SELECT ${commit} AS ms), noted AS (${insertion('$11')} WHERE EXISTS (SELECT FROM done WHERE ms IS NOT NULL)) SELECT ms FROM done`
    try {
      await ready()
      const { query } = await connect()
      const answer = await query(text, [...values, JSON.stringify(rows)], `${names}_noted`)
      if (answer[0].ms !== null) kept()
      return answer
    } catch (error) {
      if (isOfServer(error)) return undefined
      throw explainError(error, title())
    }
  }

  return {
    get title() {
      return title()
    },
    now: time,
    ready,
    async fetch(ids) {
      const sent = Date.now()
      const rows = await ask(
        'fetch',
        `SELECT t.ms::text AS ms, r.id, r.version, r.body, r.name FROM (SELECT extract(epoch FROM clock_timestamp()) * 1000 AS ms) t LEFT JOIN ${s}.lock_rows r ON r.id = ANY ($1::text[])`,
        ids.map(shortId),
      )
      noteTime(sent, Number(rows[0].ms))
      return new Map(rows.flatMap(({ id, name, body, version }) => (id === null ? [] : [[name ?? id, { text: body, version }]])))
    },
    async commit(seen, writes, noted) {
      const version = `${nonce}${(commits++).toString(36)}`
      const ids = [...seen.keys()]
      const each = <T>(of: (write: Write) => T | undefined): (T | undefined)[] => ids.map((id) => of(writes.get(id) ?? none))
      const sent = Date.now()
      const values = [
        ids.map(shortId),
        [...seen.values()],
        ids.map((id) => (writes.has(id) ? howOf(writes.get(id)) : 0)),
        each(({ text }) => text),
        ids.map((id) => (shortId(id) === id ? undefined : id)),
        each(({ session }) => session?.expiresAt),
        each(({ record }) => record && !isEmpty(record)),
        each(({ record }) => record && JSON.stringify(record.holders.map((holder) => [holder.session, holder.token, lastTokenOf(holder)]))),
        version,
        Date.now() + ahead + timeout,
      ]
      const [{ ms }] = (noted && (await commitNoted(values, noted))) ?? (await ask('commit', `SELECT ${commit} AS ms`, ...values))
      if (ms === null) return undefined
      noteTime(sent, Number(ms))
      return version
    },
    async keys(prefix, { busy, after, limit }) {
      const isWanted = `starts_with(k, $1) AND ($2::text IS NULL OR k > $2 COLLATE "C") AND (busy OR NOT $3)`
      const rows = await ask(
        'keys',
        `SELECT k FROM (SELECT id AS k, busy FROM ${s}.lock_rows WHERE id >= $1 AND starts_with(id, $1) UNION ALL SELECT name, busy FROM ${s}.lock_rows WHERE starts_with(id, 'h:')) x WHERE ${isWanted} ORDER BY k COLLATE "C" LIMIT $4`,
        recordId(prefix),
        after === undefined ? undefined : recordId(after),
        busy === true,
        limit,
      )
      return rows.map(({ k }) => k.slice(recordId('').length))
    },
    async stale(at, after) {
      const rows =
        after === undefined
          ? await ask('stale', `SELECT coalesce(name, id) AS id, body FROM ${s}.lock_rows WHERE expires_at < $1 ORDER BY expires_at LIMIT 16`, at)
          : await ask(
              'others',
              `(SELECT 0 AS part, id, body FROM ${s}.lock_rows WHERE id > $1 AND starts_with(id, 's:') ORDER BY id LIMIT 16) UNION ALL (SELECT 1, id, body FROM ${s}.lock_rows WHERE id <= $1 AND starts_with(id, 's:') ORDER BY id LIMIT 16) ORDER BY 1, 2 LIMIT 16`,
              sessionId(after),
            )
      return rows.map(({ id, body }) => [id.slice(sessionId('').length), body])
    },
  }
}

const none = {} as Write

const howOf = (write: Write | undefined): number => (write ? (write.takesOver ? 2 : 1) : 3)
