import { Redis } from 'ioredis'
import pg from 'pg'
import { createLocks, type Locks, type Store } from 'storelock'
import type { Fenced } from 'storelock/protocol'
import { etcdStore } from 'storelock/stores/etcd'
import { postgresStore } from 'storelock/stores/postgres'
import { redisStore } from 'storelock/stores/redis'
import { EtcdClient } from '../../src/channels/etcd/client.ts'
import { decode, encode } from '../../src/channels/etcd/form.ts'
import type { Final, Write } from '../history.ts'
import { keys } from '../worker.ts'

/** The locks of a server, and the data that they protect on the same server. */
export interface Data {
  readonly store: Store
  /** Creates tables. Called once, before any worker uses the server. */
  prepare?(): Promise<void>
  read(key: string): Promise<Write | undefined>
  /** @param lock without one, the write has no fence @param before is called just before the commit is sent */
  write(write: Write, lock: Fenced | undefined, before: () => void): Promise<void>
  /** How many writes have ever been made. */
  written(): Promise<number>
  final(): Promise<Final>
  close(): Promise<void>
}

export type Kind = 'postgres' | 'redis' | 'etcd'

const parse = (text: string | null | undefined): Write | undefined => (text ? (JSON.parse(text) as Write) : undefined)
const present = <T>(values: readonly (T | undefined)[]): T[] => values.filter((value) => value !== undefined)

/** `put` writes the row first, because its lock makes other writers wait: so the log is in the order of the commits. */
const tables = `
  CREATE TABLE rows (key text PRIMARY KEY, id text NOT NULL, token float8 NOT NULL, saw text NOT NULL, value int NOT NULL);
  CREATE TABLE log (place bigserial PRIMARY KEY, key text NOT NULL, id text NOT NULL, token float8 NOT NULL, saw text NOT NULL, value int NOT NULL);
  CREATE FUNCTION put(a text, b text, c float8, d text, e int) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO rows VALUES (a, b, c, d, e) ON CONFLICT (key) DO UPDATE SET id = b, token = c, saw = d, value = e;
    INSERT INTO log (key, id, token, saw, value) VALUES (a, b, c, d, e);
  END $$`

function postgresData(url: string): Data {
  const store = postgresStore<pg.PoolClient>(url, { timeout: 2_000 })
  const pool = new pg.Pool({ connectionString: url, max: 2, query_timeout: 2_000, connectionTimeoutMillis: 2_000 })
  pool.on('error', () => {})
  const writeBy = async (client: pg.PoolClient, { key, id, token, saw, value }: Write): Promise<void> => {
    await client.query({ name: 'put', text: 'SELECT put($1, $2, $3, $4, $5)', values: [key, id, token, saw, value] })
  }
  return {
    store,
    prepare: async () => void (await pool.query(tables)),
    read: async (key) => (await pool.query('SELECT * FROM rows WHERE key = $1', [key])).rows[0],
    async write(write, lock, before) {
      if (lock) {
        await store.transaction(lock, async (client) => {
          await writeBy(client, write)
          before()
        })
        return
      }
      const client = await pool.connect()
      client.on('error', () => {})
      try {
        await client.query('BEGIN')
        await writeBy(client, write)
        before()
        await client.query('COMMIT')
        client.release()
      } catch (error) {
        client.release(true)
        throw error
      }
    },
    written: async () => Number((await pool.query('SELECT count(*) FROM log')).rows[0].count),
    async final() {
      const { rows } = await pool.query('SELECT * FROM rows')
      return { rows, log: (await pool.query('SELECT key, id, token, saw, value FROM log ORDER BY place')).rows }
    },
    async close() {
      await pool.end()
      await store.close()
    },
  }
}

function redisData(url: string, replicas?: number): Data {
  const store = redisStore(url, { timeout: 2_000, ...(replicas && { durability: { replicas, within: 500 } }) })
  const client = new Redis(url, { maxRetriesPerRequest: 0, autoResendUnfulfilledCommands: false, retryStrategy: () => 50 })
  client.on('error', () => {})
  const rowOf = (key: string): string => `{storelock} row ${key}`
  const log = '{storelock} log'
  const read = async (key: string): Promise<Write | undefined> => parse(await client.get(rowOf(key)))
  return {
    store,
    read,
    async write(write, lock, before) {
      const text = JSON.stringify(write)
      if (!lock) {
        before()
        await client.multi().set(rowOf(write.key), text).rpush(log, text).exec()
        return
      }
      await store.transaction(lock, (tx) => {
        tx.call('SET', rowOf(write.key), text)
        tx.call('RPUSH', log, text)
        before()
      })
    },
    written: () => client.llen(log),
    final: async () => ({ rows: present(await Promise.all(keys.map(read))), log: present((await client.lrange(log, 0, -1)).map(parse)) }),
    async close() {
      client.disconnect()
      await store.close()
    },
  }
}

function etcdData(url: string): Data {
  const members = url.split(',')
  const store = etcdStore(members, { timeout: 2_000 })
  const client = new EtcdClient(members, { timeout: 2_000 })
  type Found = { count?: string; kvs?: { value: string }[] }
  const read = async (key: string): Promise<Write | undefined> =>
    parse(decode((await client.call<Found>('kv/range', { key: encode(`row ${key}`) }, true)).kvs?.[0]?.value))
  // Sorted in the order of their creation.
  const log = { key: encode('log '), range_end: encode('log!'), sort_target: 'CREATE', sort_order: 'ASCEND' }
  return {
    store,
    read,
    async write(write, lock, before) {
      const text = JSON.stringify(write)
      const writes = [
        [`row ${write.key}`, text],
        [`log ${write.id}`, text],
      ] as const
      if (!lock) {
        before()
        await client.call('kv/txn', { success: writes.map(([key, value]) => ({ request_put: { key: encode(key), value: encode(value) } })) })
        return
      }
      await store.transaction(lock, (tx) => {
        for (const [key, value] of writes) tx.put(key, value)
        before()
      })
    },
    written: async () => Number((await client.call<Found>('kv/range', { ...log, count_only: true }, true)).count ?? 0),
    async final() {
      const { kvs = [] } = await client.call<Found>('kv/range', log, true)
      return { rows: present(await Promise.all(keys.map(read))), log: present(kvs.map(({ value }) => parse(decode(value)))) }
    },
    async close() {
      client.close()
      await store.close()
    },
  }
}

const opened = { postgres: postgresData, redis: redisData, etcd: etcdData } satisfies Record<Kind, (url: string, replicas?: number) => Data>

/** @param replicas how many replicas of a Redis must have a change before it counts */
export const openData = (kind: Kind, url: string, replicas?: number): Data => opened[kind](url, replicas)

export const locksOf = ({ store }: Data, options: Parameters<typeof createLocks>[0] | object = {}): Locks => createLocks({ ...options, store })
