import { Redis } from 'ioredis'
import { createLocks, type Locks, type Store } from 'storelock'
import type { Fenced } from 'storelock/protocol'
import { etcdStore } from 'storelock/stores/etcd'
import { redisStore } from 'storelock/stores/redis'
import { decode, EtcdClient, encode } from '../../src/channels/etcd/client.ts'
import type { Final, Write } from '../history.ts'
import { keys } from '../worker.ts'

/** Locks of a server, and the data that they protect there. */
export interface Data {
  readonly store: Store
  read(key: string): Promise<Write | undefined>
  /** @param lock without one, it is written in any case @param before is called when everything is ready to be sent */
  write(write: Write, lock: Fenced | undefined, before: () => void): Promise<void>
  /** How many writes were ever made. */
  written(): Promise<number>
  final(): Promise<Final>
  close(): Promise<void>
}

export type Kind = 'redis' | 'etcd'

const parse = (text: string | null | undefined): Write | undefined => (text ? (JSON.parse(text) as Write) : undefined)
const present = <T>(values: readonly (T | undefined)[]): T[] => values.filter((value) => value !== undefined)

function redisData(url: string): Data {
  const store = redisStore(url, { timeout: 2_000 })
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
  const store = etcdStore(url, { timeout: 2_000 })
  const client = new EtcdClient([url], { timeout: 2_000 })
  type Found = { count?: string; kvs?: { value: string }[] }
  const read = async (key: string): Promise<Write | undefined> =>
    parse(decode((await client.call<Found>('kv/range', { key: encode(`row ${key}`) }, true)).kvs?.[0]?.value))
  // In the order in which they were made.
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

export const openData = (kind: Kind, url: string): Data => (kind === 'redis' ? redisData(url) : etcdData(url))

export const locksOf = ({ store }: Data, options: Parameters<typeof createLocks>[0] | object = {}): Locks => createLocks({ ...options, store })
