import { expect, test } from 'vitest'
import { verifyOffline } from '../../src/server/index.ts'
import type { LogReply } from '../../src/server/wire.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { Client, handlerOf, request } from './world.ts'

const secret = 'a secret of this test alone'

async function world() {
  const store = memoryStore()
  const handler = await handlerOf(store, { secret })
  const [a, b] = [new Client(handler, 'a'), new Client(handler, 'b')] as const
  const { lockTokens } = await a.take('s-a')
  const [ticket] = lockTokens
  if (!ticket?.token) throw new Error('a grant came without a lockToken')
  return { store, handler, a, b, token: ticket.token, lockToken: ticket.lockToken }
}

const release = (token: number, lockToken?: string, session = 's-a') => ({ type: 'release' as const, key: 'k', session, token, lockToken })

test('L2: a release needs the lockToken of its grant', async () => {
  const { store, a, token, lockToken } = await world()
  expect((await a.apply(release(token))).outcomes).toMatchObject([{ type: 'refused', reason: 'not-owner' }])
  expect((await store.read('k'))?.holders).toHaveLength(1)
  expect((await a.apply(release(token, lockToken))).outcomes).toMatchObject([{ type: 'done' }])
})

test('L2: a forged, cut or altered lockToken, or that of an earlier grant, is refused', async () => {
  const { store, handler, a, token, lockToken } = await world()
  await a.apply(release(token, lockToken))
  const second = (await a.apply(request('s-a', 'k', 2))).lockTokens[0]
  const [form, body = '', mac = ''] = second?.lockToken.split('.') ?? []
  const flipped = (text: string): string => (text.startsWith('A') ? 'B' : 'A') + text.slice(1)
  const bad = [
    lockToken,
    '',
    `${form}.${body}`,
    `${form}.${flipped(body)}.${mac}`,
    `${form}.${body}.${flipped(mac)}`,
    `sl2.${body}.${mac}`,
    `${second?.lockToken}.`,
  ]
  for (const each of bad.filter(Boolean)) {
    expect((await a.apply(release(second?.token as number, each))).outcomes).toMatchObject([{ type: 'refused', reason: 'not-owner' }])
    expect(await handler.verify('k', each)).toMatchObject({ valid: false })
  }
  expect((await store.read('k'))?.holders).toHaveLength(1)
})

test('L2: a lockToken is useless to another client', async () => {
  const { store, b, token, lockToken } = await world()
  await b.take('s-b', 'other')
  expect((await b.apply(release(token, lockToken))).outcomes).toMatchObject([{ type: 'refused', reason: 'not-owner' }])
  expect((await b.apply(release(token, lockToken, 's-b'))).outcomes).toMatchObject([{ type: 'refused', reason: 'not-owner' }])
  expect((await store.read('k'))?.holders).toHaveLength(1)
})

test('L5: giving up a place in the queue needs the lockToken of the place', async () => {
  const { store, b } = await world()
  const { lockTokens } = await b.take('s-b')
  const withdraw = { type: 'withdraw' as const, key: 'k', session: 's-b', number: 1 }
  expect((await b.apply(withdraw)).outcomes).toMatchObject([{ type: 'refused', reason: 'not-owner' }])
  expect((await b.apply({ ...withdraw, lockToken: lockTokens[0]?.lockToken })).outcomes).toMatchObject([{ type: 'done' }])
  expect((await store.read('k'))?.queue).toEqual([])
})

test('a lockToken can be verified offline with only the secret', async () => {
  const { token, lockToken } = await world()
  expect(verifyOffline(secret, 'k', lockToken)).toEqual({ session: 's-a', token })
  expect(verifyOffline(secret, 'other', lockToken)).toBeUndefined()
  expect(verifyOffline('another secret of a test', 'k', lockToken)).toBeUndefined()
})

test('L2: releasing a lock that is not held is logged as a refusal with the client’s address, and the log has no token', async () => {
  const { a, token, lockToken } = await world()
  await a.apply(release(token + 1))
  await a.apply(release(token, `${lockToken}x`))
  await a.apply(release(token, lockToken))
  const { entries } = await a.get<LogReply>('/v1/log')
  expect(entries.map(({ kind, why, address }) => [kind, why, address])).toEqual([
    ['release', undefined, '192.0.2.7'],
    ['refusal', 'release: a forged or foreign lockToken', '192.0.2.7'],
    ['refusal', 'not-held', '192.0.2.7'],
    ['grant', undefined, '192.0.2.7'],
  ])
  expect(JSON.stringify(entries)).not.toContain(lockToken.slice(0, 20))
})

test('of several secrets the first one signs and all verify, so that old lockTokens stay valid after a change of secrets', async () => {
  const store = memoryStore()
  const [old, fresh] = ['the old secret of this test', 'the new secret of this test'] as const
  const handler = await handlerOf(store, { secret: old })
  const a = new Client(handler, 'a')
  const first = (await a.take('s-a')).lockTokens[0]?.lockToken as string
  handler.reload({ secret: [fresh, old] })
  expect(await handler.verify('k', first)).toMatchObject({ valid: true })
  const second = (await a.apply(request('s-a', 'other', 2))).lockTokens[0]?.lockToken as string
  expect([verifyOffline(fresh, 'other', second)?.session, verifyOffline(old, 'other', second)]).toEqual(['s-a', undefined])
  expect(verifyOffline([fresh, old], 'k', first)?.session).toBe('s-a')
  handler.reload({ secret: [fresh] })
  expect(await handler.verify('k', first)).toEqual({ valid: false, why: 'forged' })
  expect(await handler.verify('other', second)).toMatchObject({ valid: true })
})

test('an empty ring of secrets, or a ring with one that is too short, is refused and changes nothing', async () => {
  const handler = await handlerOf(memoryStore(), { secret })
  const lockToken = (await new Client(handler, 'a').take('s-a')).lockTokens[0]?.lockToken as string
  for (const bad of [[], [secret, 'short']]) expect(() => handler.reload({ secret: bad })).toThrow(expect.objectContaining({ code: 'invalid' }))
  expect(await handler.verify('k', lockToken)).toMatchObject({ valid: true })
})
