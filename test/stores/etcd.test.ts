import { afterAll, beforeAll, describe, test } from 'vitest'
import { EtcdClient } from '../../src/channels/etcd/client.ts'
import { decode, encode } from '../../src/channels/etcd/form.ts'
import { type EtcdTransaction, etcdStore } from '../../src/stores/etcd.ts'
import { type StorePlace, storeSuite } from '../../src/testing/index.ts'
import { type EtcdServer, lendEtcd } from '../servers/etcd.ts'

let server: Pick<EtcdServer, 'url' | 'remove'>
let admin: EtcdClient
let places = 0

beforeAll(async () => {
  server = await lendEtcd()
  admin = new EtcdClient([server.url], {})
})
afterAll(async () => {
  admin.close()
  await server.remove()
})

const get = async (key: string): Promise<string | undefined> => {
  const { kvs: [found] = [] } = await admin.call<{ kvs?: { value: string }[] }>('kv/range', { key: encode(key) })
  return found && decode(found.value)
}

/** A place for a store under a new prefix of the server. */
function place(): StorePlace {
  const prefix = `test ${process.pid} ${++places}`
  return {
    open: () => etcdStore(server.url, { prefix }),
    corrupt: async (key) => void (await admin.call('kv/put', { key: encode(`${prefix}/r:${key}`), value: encode('nonsense') })),
    raw: (key) => get(`${prefix}/r:${key}`),
    fence: {
      write: (tx: EtcdTransaction, text: string) => tx.put(`${prefix} written`, text),
      written: () => get(`${prefix} written`),
    },
  }
}

describe('an etcd store', () => {
  for (const { name, run } of storeSuite(place)) test(name, run)
})
