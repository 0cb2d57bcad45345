import { expect, test, vi } from 'vitest'
import { type Command, LockError } from '../../src/protocol/index.ts'
import type { ListReply, LogReply, ReadReply, WireCommand } from '../../src/server/wire.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { beat, Client, handlerOf, request } from './world.ts'

async function world() {
  const store = memoryStore()
  const handler = await handlerOf(store)
  return { store, handler, a: new Client(handler, 'a'), b: new Client(handler, 'b') }
}

test('only the client that opened a session can speak for it', async () => {
  const { store, a, b } = await world()
  await a.take('s')
  const { outcomes } = await b.apply(beat('s'), request('s', 'k', 2), { type: 'end', session: 's' })
  expect(outcomes).toMatchObject([{ type: 'ended' }, { type: 'refused', reason: 'not-owner' }, { type: 'alive' }])
  expect((await store.read('k'))?.sessions.get('s')?.seq).toBe(1)
  expect((await b.get<ReadReply>('/v1/locks/k')).lockTokens).toEqual([])
  expect((await a.get<ReadReply>('/v1/locks/k')).lockTokens).toMatchObject([{ key: 'k', session: 's' }])
})

test('no client owns a session at the store itself', async () => {
  const { store, a } = await world()
  await store.apply([{ type: 'beat', session: 'local', client: 'c', lease: 1_000, opens: true }])
  const { outcomes } = await a.apply(beat('local'), request('local'))
  expect(outcomes).toMatchObject([{ type: 'ended' }, { type: 'refused', reason: 'ended' }])
})

test('without a client key no session can be opened', async () => {
  const { handler } = await world()
  const nobody = new Client(handler, 'x')
  delete nobody.headers['storelock-client']
  expect((await nobody.apply(beat('s'))).outcomes).toMatchObject([{ type: 'ended' }])
})

test('a client’s claim that another client is gone has no effect', async () => {
  const { store, a, b } = await world()
  const { lockTokens } = await a.take('s-a')
  await b.take('s-b')
  const { outcomes } = await b.apply(
    { type: 'expire', key: 'k', session: 's-b', evidence: { token: lockTokens[0]?.token as number, seq: 1 } },
    { type: 'end', session: 's-a', seq: 1 },
  )
  expect(outcomes).toMatchObject([{ type: 'refused', reason: 'live' }, { type: 'alive' }])
  expect((await store.read('k'))?.holders).toMatchObject([{ session: 's-a' }])
})

test('a batch that its sender has given up is refused when it arrives late', async () => {
  const { store, a } = await world()
  await a.apply(beat('s'))
  const send = (batch: number, voided: number, ...commands: object[]) => a.post('/v1/apply', { sender: 'x', batch, void: voided, commands })
  expect((await send(2, 1)).status).toBe(200)
  const late = await send(1, 0, request('s'))
  expect([late.status, await late.json()]).toMatchObject([409, { error: { code: 'void' } }])
  expect(await store.read('k')).toBeUndefined()
  expect((await send(3, 1, request('s'))).status).toBe(200)
})

test('a client that has read the id of an ended session cannot open it, and the attempt is logged', async () => {
  const { store, a } = await world()
  await store.apply([
    { type: 'beat', session: 'local', client: 'c', lease: 60_000, opens: true },
    { type: 'request', key: 'k', session: 'local', client: 'c', number: 1, mode: 'exclusive', confirm: 500 },
    { type: 'end', session: 'local' },
  ])
  // This shows the session's id to the client.
  expect((await a.get<ReadReply>('/v1/locks/k')).lock?.holders).toMatchObject([{ session: 'local' }])
  expect((await a.apply(beat('local'))).outcomes).toMatchObject([{ type: 'ended' }])
  expect((await store.read('k'))?.sessions).toEqual(new Map())
  expect((await a.get<LogReply>('/v1/log')).entries).toMatchObject([{ kind: 'refusal', session: 'local' }])
})

test('sessions that a record names when the server starts cannot be opened, either', async () => {
  const store = memoryStore()
  await store.apply([
    { type: 'beat', session: 'local', client: 'c', lease: 60_000, opens: true },
    { type: 'request', key: 'k', session: 'local', client: 'c', number: 1, mode: 'exclusive', confirm: 500 },
    { type: 'end', session: 'local' },
  ])
  const a = new Client(await handlerOf(store), 'a')
  expect((await a.apply(beat('local'))).outcomes).toMatchObject([{ type: 'ended' }])
  expect((await a.apply(beat('another'))).outcomes).toMatchObject([{ type: 'beaten' }])
})

test('opening a session reads no record, however many there are', async () => {
  const store = memoryStore()
  const held = Array.from({ length: 1_000 }, (_, n): Command => ({ ...request('local', `k${n}`, n) }) as Command)
  await store.apply([{ type: 'beat', session: 'local', client: 'c', lease: 60_000, opens: true }, ...held])
  const asked: string[] = []
  const noting =
    <A extends unknown[], T>(name: string, work: (...asked: A) => T) =>
    (...args: A): T => {
      asked.push(name)
      return work(...args)
    }
  const { page, list, read } = store
  const a = new Client(
    await handlerOf({ ...store, list: noting('list', list), read: noting('read', read), ...(page && { page: noting('page', page) }) }),
    'a',
  )
  asked.length = 0
  expect((await a.apply(beat('s'), beat('t'))).outcomes).toMatchObject([{ type: 'beaten' }, { type: 'beaten' }])
  expect(asked).toEqual([])
})

test('a damaged record does not keep the server from starting or clients from opening sessions', async () => {
  const store = memoryStore()
  const failed: unknown[] = []
  const list = () => Promise.reject(new LockError('corrupt', 'the record of x is damaged'))
  const handler = await handlerOf({ ...store, list, page: list }, { onError: (error) => failed.push(error) })
  expect((await new Client(handler, 'a').take('s')).outcomes).toMatchObject([{ type: 'beaten' }, { type: 'granted' }])
  expect(failed).toMatchObject([{ code: 'corrupt' }])
})

test('the beacon address of a local session is not shown to clients', async () => {
  const { store, a } = await world()
  await store.apply([
    { type: 'beat', session: 'local', client: 'c', lease: 60_000, opens: true, beacon: '/run/secret-place' },
    { type: 'request', key: 'k', session: 'local', client: 'c', number: 1, mode: 'exclusive', confirm: 500 },
  ])
  const replies = [await a.take('s'), await a.get<ReadReply>('/v1/locks/k'), await a.get<ListReply>('/v1/locks')]
  for (const reply of replies) {
    expect(JSON.stringify(reply)).not.toContain('secret-place')
    expect(JSON.stringify(reply)).toContain('"beacon":"hidden"')
  }
})

test('a long silent session is challenged, and its row is removed if it does not answer', async () => {
  let ahead = 0
  const really = performance.now.bind(performance)
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => really() + ahead)
  const store = memoryStore({ now: () => Date.now() + ahead })
  const a = new Client(await handlerOf(store), 'a')
  await store.apply([{ type: 'beat', session: 'gone', client: 'c', lease: 1_000, opens: true }])
  const seen = async (): Promise<string> => {
    const { challenged, seq } = (await store.read('k'))?.sessions.get('gone') ?? {}
    return seq === undefined ? 'cleared' : challenged === seq ? 'asked' : 'silent'
  }
  // Lets a record name the session, so that reading the record shows its row.
  await store.apply([request('gone')] as Command[])
  const steps: string[] = []
  for (let minute = 0; minute < 6; minute++) {
    // The outcome of each beat shows stale sessions to the server.
    for (let beats = 0; beats < 60; beats++) {
      ahead += 1_000
      await a.apply(beat('s'))
    }
    steps.push(await seen())
  }
  clock.mockRestore()
  expect(steps).toEqual(['asked', 'asked', 'cleared', 'cleared', 'cleared', 'cleared'])
})

test('a request without waiting gets the lock in the same call if its holder, a session at the store itself, is proved dead', async () => {
  const now = (number: number): WireCommand => ({ ...request('s', 'k', number), ifAvailable: true })
  const store = memoryStore()
  const a = new Client(await handlerOf(store), 'a')
  const { address } = await store.beacon.raise('local')
  await store.apply([{ ...beat('local'), beacon: address }, request('local')] as Command[])
  await a.apply(beat('s'))
  expect((await a.apply(now(1))).outcomes).toMatchObject([{ type: 'refused', reason: 'busy' }])
  store.beacon.kill(address)
  expect((await a.apply(now(2))).outcomes).toMatchObject([{ type: 'granted' }])
})

test.each(['release', 'renew'] as const)('a %s by an ended session is refused and logged, even with the right lockToken', async (type) => {
  const { store, a, b } = await world()
  const { lockTokens } = await a.take('s')
  const { token, lockToken } = lockTokens[0] as { token: number; lockToken: string }
  const command = { type, key: 'k', session: 's', token, lockToken }
  // Ended directly at the store, so that the server does not notice.
  await store.apply([{ type: 'end', session: 's' }])
  expect((await a.apply(command)).outcomes).toMatchObject([{ type: 'refused', reason: 'ended' }])
  const kind = type === 'release' ? 'refusal' : 'renewal-failure'
  expect((await a.get<LogReply>('/v1/log?key=k')).entries[0]).toMatchObject({ kind, session: 's', token, why: 'ended' })
  // The hold is still void.
  expect((await b.take('next')).outcomes).toMatchObject([{ type: 'beaten' }, { type: 'granted' }])
})

test('a release after the end of its session in the same batch is refused', async () => {
  const { a } = await world()
  const { lockTokens } = await a.take('s')
  const { token, lockToken } = lockTokens[0] as { token: number; lockToken: string }
  const { outcomes } = await a.apply({ type: 'end', session: 's' }, { type: 'release', key: 'k', session: 's', token, lockToken })
  expect(outcomes).toMatchObject([{ type: 'ended' }, { type: 'refused', reason: 'ended' }])
})

test('the lockToken of a lost lock is no longer valid, and the server says why the lock was lost', async () => {
  const { store, a } = await world()
  const verify = async (lockToken: string | undefined) => await (await a.post('/v1/verify', { key: 'k', lockToken })).json()
  const first = (await a.take('s')).lockTokens[0]
  await store.apply([{ type: 'revoke', key: 'k' }])
  expect(await verify(first?.lockToken)).toMatchObject({ valid: false, why: 'not-held', reason: 'revoked' })
  const second = (await a.apply(request('s', 'k', 2))).lockTokens[0]
  await store.apply([{ type: 'end', session: 's' }])
  expect(await verify(second?.lockToken)).toMatchObject({ valid: false, why: 'not-held', reason: 'ended' })
  const third = (await a.take('t')).lockTokens[0]
  await a.apply({ type: 'release', key: 'k', session: 't', token: third?.token as number, lockToken: third?.lockToken })
  const letGo = await verify(third?.lockToken)
  expect([letGo.valid, letGo.reason]).toEqual([false, undefined])
})
