import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { postgresStore } from '../../src/stores/postgres.ts'
import { storeSuite } from '../../src/testing/index.ts'
import { lendPostgres, startPgBouncer, startPostgres } from '../servers/postgres.ts'
import { postgresPlace } from './postgres-place.ts'
import { answerAsOneMap } from './turns.ts'

let server: Awaited<ReturnType<typeof lendPostgres>>
let admin: pg.Pool

beforeAll(async () => {
  server = await lendPostgres()
  admin = new pg.Pool({ connectionString: server.url, max: 2 })
})
afterAll(async () => {
  await admin.end()
  await server.remove()
})

describe('a Postgres store on a connection string', () => {
  for (const { name, run } of storeSuite(() => postgresPlace(admin, (schema) => postgresStore(server.url, { schema })))) test(name, run)
})

describe('a Postgres store on a user’s pool', () => {
  for (const { name, run } of storeSuite(() => postgresPlace(admin, (schema) => postgresStore(admin, { schema })))) test(name, run)
})

describe('a Postgres store behind PgBouncer in transaction mode', () => {
  let own: Awaited<ReturnType<typeof startPostgres>>
  let pooler: Awaited<ReturnType<typeof startPgBouncer>>
  let past: pg.Pool

  beforeAll(async () => {
    own = await startPostgres()
    pooler = await startPgBouncer(own)
    past = new pg.Pool({ connectionString: own.url, max: 2 })
  })
  afterAll(async () => {
    await past.end()
    await pooler.remove()
    await own.remove()
  })
  for (const { name, run } of storeSuite(() => postgresPlace(past, (schema) => postgresStore(pooler.url, { schema })))) test(name, run)
})

test('two Postgres stores used alternately give the same answers as one map, whatever they have cached', { timeout: 120_000 }, () =>
  answerAsOneMap(async (now) => {
    const place = postgresPlace(admin, (schema) => postgresStore(admin, { schema, now, notify: false }))
    return { stores: [await place.open(), await place.open()], remove: place.remove }
  }),
)

test('a Postgres store refuses an invalid timeout', () => {
  for (const timeout of [0, -1, Number.NaN, Infinity, 2 ** 31]) expect(() => postgresStore('postgres://localhost', { timeout })).toThrow(RangeError)
})
