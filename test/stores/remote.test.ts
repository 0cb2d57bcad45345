import { describe, expect, test } from 'vitest'
import type { Command, Outcome } from '../../src/protocol/index.ts'
import type { Store } from '../../src/store.ts'
import { remoteStore } from '../../src/stores/remote.ts'
import { storeSuite } from '../../src/testing/index.ts'
import { lease } from '../protocol/shelf.ts'
import { makeServer, mapEngine, mapStore, type Server } from './remote-map.ts'
import { answerAsOneMap } from './turns.ts'

const beat = (session: string, opens = false): Command => ({ type: 'beat', session, client: session, lease, ...(opens && { opens }) })
const request = (session: string, number = 1, key = 'k'): Command & { readonly type: 'request' } => ({
  ...{ type: 'request', key, session, client: session, number, mode: 'exclusive', confirm: 500 },
})
const release = (session: string, token: number, key = 'k'): Command => ({ type: 'release', key, session, token })
const tokenOf = (outcome: Outcome | undefined): number => (outcome?.type === 'granted' ? outcome.holder.token : Number.NaN)

describe('a store on an engine that answers asynchronously', () => {
  const place = () => {
    const server = makeServer()
    return {
      open: () => mapStore(server),
      corrupt: (key: string) => void server.rows.set(`r:${key}`, { text: 'rubbish', version: 0 }),
      raw: (key: string) => server.rows.get(`r:${key}`)?.text,
    }
  }
  for (const { name, run } of storeSuite(place)) test(name, run)
})

test('two remote stores used alternately give the same answers as one map, whatever they have cached', { timeout: 60_000 }, () =>
  answerAsOneMap(async (now) => {
    const server = makeServer()
    return { stores: [mapStore(server, now), mapStore(server, now)] }
  }),
)

/** A server and stores on it, each with an open session. */
async function withStores(count: number): Promise<{ server: Server; stores: Store[] }> {
  const server = makeServer()
  const stores = Array.from({ length: count }, () => mapStore(server))
  for (const [index, store] of stores.entries()) await store.apply([beat(`s${index}`, true)])
  return { server, stores }
}

test('changes to a metadata object after its request are not written', async () => {
  const { server, stores } = await withStores(1)
  const [store] = stores as [Store]
  const metadata = { text: 'before' }
  await store.apply([{ ...request('s0'), metadata }])
  metadata.text = 'after'
  await store.apply([request('s0', 2)])
  expect(server.rows.get('r:k')?.text).toContain('before')
  expect(server.rows.get('r:k')?.text).not.toContain('after')
})

const roundTrips = ({ asked }: Server): number => asked.fetch + asked.commit

test('an acquire and a release without contention take two round trips, and a heartbeat takes one', async () => {
  const { server, stores } = await withStores(1)
  const [store] = stores as [Store]
  const turn = async (number: number): Promise<void> => {
    const [granted] = await store.apply([request('s0', number)])
    await store.apply([release('s0', tokenOf(granted))])
  }
  await turn(1)
  const before = roundTrips(server)
  await turn(2)
  expect(roundTrips(server) - before).toBe(2)
  await store.apply([beat('s0')])
  expect(roundTrips(server) - before).toBe(3)
})

test('a look at a record with the same sessions as before takes one round trip', async () => {
  const { server, stores } = await withStores(2)
  const [store, other] = stores as [Store, Store]
  await store.apply([request('s0')])
  await other.apply([request('s1')])
  await other.read('k')
  const before = server.asked.fetch
  await store.apply([beat('s0')])
  expect((await other.read('k'))?.sessions.get('s0')?.seq).toBe(2)
  expect(server.asked.fetch - before).toBe(1)
})

test('stores that contend for a few locks grant each to one session at a time, and every command ends', async () => {
  const { server, stores } = await withStores(8)
  let holders = 0
  let turns = 0
  const play = async (store: Store, session: string): Promise<void> => {
    for (let number = 1; number <= 20; number++) {
      const key = `k${number % 2}`
      const [granted] = await store.apply([{ ...request(session, number, key), ifAvailable: true } as Command])
      if (granted?.type !== 'granted') continue
      if (key === 'k0') expect(++holders).toBe(1)
      turns++
      await new Promise((resolve) => setImmediate(resolve))
      if (key === 'k0') holders--
      await store.apply([release(session, tokenOf(granted), key)])
    }
  }
  await Promise.all(stores.map((store, index) => play(store, `s${index}`)))
  expect(server.asked.missed).toBeGreaterThan(0)
  expect(turns).toBeGreaterThan(8)
})

test('a key that a transaction has locked does not delay other keys or heartbeats, even if they were sent in one batch', async () => {
  const { server, stores } = await withStores(1)
  const [store] = stores as [Store]
  server.locked.add('r:k')
  const done: string[] = []
  const note = (name: string) => (outcomes: Outcome[]) => void done.push(`${name}: ${outcomes.map(({ type }) => type).join()}`)
  const together = [
    store.apply([request('s0'), request('s0', 1, 'other'), beat('s0')]).then(note('batch')),
    store.apply([request('s0', 2)]).then(note('follower')),
  ]
  await store.apply([request('s0', 3, 'third')]).then(note('third'))
  await store.apply([beat('s0')]).then(note('beat'))
  // This request is queued behind the one that was sent together with the locked key.
  expect((await store.apply([request('s0', 2, 'other')])).map(({ type }) => type)).toEqual(['queued'])
  expect(store.isBusy?.()).toBe(true)
  expect(done).toEqual(['third: granted', 'beat: beaten'])
  server.locked.delete('r:k')
  await Promise.all(together)
  expect(done.slice(2)).toEqual(['batch: granted,granted,beaten', 'follower: queued'])
  expect(store.isBusy?.()).toBe(false)
})

test('after a failed commit the store forgets the rows, since they may or may not have been written', async () => {
  const { server, stores } = await withStores(1)
  const [store] = stores as [Store]
  await store.apply([request('s0')])
  let lost = true
  server.before = (what) => {
    if (what === 'commit' && lost) {
      lost = false
      throw new Error('the connection broke')
    }
  }
  await expect(store.apply([request('s0', 2)])).rejects.toMatchObject({ code: 'store', message: 'the map: the connection broke' })
  const [outcome] = await store.apply([request('s0', 2)])
  expect(outcome?.type).toBe('queued')
  expect(server.asked.missed).toBe(0)
})

test('a request whose answer was lost can no longer be carried out after a later command', async () => {
  const { server, stores } = await withStores(1)
  const engine = mapEngine(server)
  let late: (() => Promise<unknown>) | undefined
  const store = remoteStore<number>({
    ...engine,
    async commit(seen, writes) {
      if (late || !writes.has('r:k')) return engine.commit(seen, writes)
      late = () => engine.commit(seen, writes)
      throw new Error('the connection broke')
    },
  })
  await expect(store.apply([request('s0')])).rejects.toMatchObject({ code: 'store' })
  const [withdrawn] = await store.apply([{ type: 'withdraw', key: 'k', session: 's0', number: 1 }])
  expect(withdrawn?.type).toBe('refused')
  expect(await late?.()).toBeUndefined()
  expect(await stores[0]?.read('k')).toBeUndefined()
})

test('names that the engine cannot store are refused, and affect no other command', async () => {
  const { stores } = await withStores(1)
  const [store] = stores as [Store]
  const outcomes = await store.apply([request('s0', 1, 'a\0'), request('s0', 1, 'a\ud800'), beat('s\0', true), request('s0', 1, 'b')])
  expect(outcomes.map((outcome) => ('code' in outcome ? outcome.code : outcome.type))).toEqual(['invalid', 'invalid', 'invalid', 'granted'])
  expect(await store.read('a\0')).toBeUndefined()
  expect((await store.list()).map(({ key }) => key)).toEqual(['b'])
})

test('a closed store rejects commands that wait or are being retried', async () => {
  const { server, stores } = await withStores(1)
  const [store] = stores as [Store]
  server.locked.add('r:k')
  const both = [store.apply([request('s0')]), store.apply([request('s0', 2)])]
  await new Promise((resolve) => setTimeout(resolve, 20))
  const ends = Promise.allSettled(both)
  await store.close()
  expect(await ends).toMatchObject(both.map(() => ({ status: 'rejected', reason: { code: 'closed' } })))
})
