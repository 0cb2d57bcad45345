import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import type { Store } from '../../src/store.ts'
import type { PostgresClient } from '../../src/stores/postgres.ts'
import type { StorePlace } from '../../src/testing/index.ts'

/** A new name for a schema. */
export const newSchema = (): string => `storelock "test" ${randomUUID()}`

/** A place with its own schema. `open` opens a store in it; `admin` is for changes behind the store's back. */
export function postgresPlace(admin: pg.Pool, open: (schema: string) => Store): StorePlace {
  const schema = newSchema()
  const quoted = `"${schema.replaceAll('"', '""')}"`
  return {
    open: () => open(schema),
    async corrupt(key) {
      await admin.query(`UPDATE ${quoted}.lock_rows SET body = 'rubbish', version = 'rubbish' WHERE id = $1`, [`r:${key}`])
    },
    raw: async (key) => (await admin.query(`SELECT body FROM ${quoted}.lock_rows WHERE id = $1`, [`r:${key}`])).rows[0]?.body,
    fence: {
      async write(client: PostgresClient, text: string) {
        await client.query(`CREATE TABLE IF NOT EXISTS ${quoted}.theirs (text text)`)
        await client.query(`DELETE FROM ${quoted}.theirs`)
        await client.query(`INSERT INTO ${quoted}.theirs VALUES ($1)`, [text])
      },
      async written() {
        const found = await admin.query('SELECT to_regclass($1) AS it', [`${quoted}.theirs`])
        if (found.rows[0].it === null) return undefined
        return (await admin.query(`SELECT text FROM ${quoted}.theirs`)).rows[0]?.text
      },
    },
    async remove() {
      await admin.query(`DROP SCHEMA IF EXISTS ${quoted} CASCADE`)
    },
  }
}
