import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ListReply, LogReply } from '../../src/server/wire.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { beat, Client, handlerOf, request } from './world.ts'

const clients = [
  { name: 'victim', token: 'the-token-of-the-victim-0123456789', admin: true },
  { name: 'stranger', token: 'the-token-of-a-stranger-0123456789' },
]

/** A holder, a waiter, and an attacker that has a credential and has seen all the traffic. */
async function world() {
  const failed: unknown[] = []
  const handler = await handlerOf(memoryStore(), { clients, limits: { rate: 1_000_000 }, onError: (error) => failed.push(error) })
  const [victim, waiter] = [new Client(handler, 'a', clients[0]?.token), new Client(handler, 'b', clients[0]?.token)]
  const stranger = new Client(handler, 'c', clients[1]?.token)
  const [hold] = (await victim.take('s-a')).lockTokens
  const [place] = (await waiter.take('s-b')).lockTokens
  // An altered copy may open the attacker's own session, and a later one may wait in it. That is allowed. Only the victims' state must not change.
  const isTheirs = ({ session }: { readonly session?: string | undefined }): boolean => session === undefined || ['s-a', 's-b'].includes(session)
  const state = async () => {
    const { locks } = await victim.get<ListReply>('/v1/locks')
    const { entries } = await victim.get<LogReply>('/v1/log?limit=1000')
    const [lock] = locks.filter(({ key }) => key === 'k')
    const parts = [lock?.token, lock?.holders, lock?.queue.filter(isTheirs), lock?.pins, lock?.sessions['s-a'], lock?.sessions['s-b']]
    return JSON.stringify([parts, entries.filter((entry) => entry.kind !== 'refusal' && isTheirs(entry))])
  }
  return { failed, stranger, state, hold: hold as NonNullable<typeof hold>, place: place as NonNullable<typeof place> }
}

const paths = ['/v1/apply', '/v1/locks', '/v1/locks/k', '/v1/events', '/v1/publish', '/v1/verify', '/v1/log', '/healthz', '/metrics', '/openapi.json']

const randomRequest = fc.record({
  method: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'HEAD'),
  path: fc.oneof(
    fc.constantFrom(...paths),
    fc.webPath().map((path) => path || '/'),
    fc.tuple(fc.constantFrom(...paths), fc.webQueryParameters()).map(([path, query]) => `${path}?${query}`),
  ),
  type: fc.constantFrom('application/json', 'text/plain', 'multipart/form-data'),
  body: fc.oneof(
    fc.json(),
    fc.string(),
    fc.json().map((commands) => `{"commands":${commands}}`),
  ),
})

test('random requests are all refused, and change nothing', async () => {
  const { failed, stranger, state } = await world()
  const before = await state()
  await fc.assert(
    fc.asyncProperty(randomRequest, async ({ method, path, type, body }) => {
      const bare = method === 'GET' || method === 'HEAD'
      const { status, body: answer } = await stranger.fetch(path, { method, ...(!bare && { body, headers: { 'content-type': type } }) })
      await answer?.cancel()
      expect(status).toBeLessThan(500)
    }),
    { numRuns: 2_000 },
  )
  expect(await state()).toBe(before)
  expect(failed).toEqual([])
}, 120_000)

/** Picks one place in a value, and the value to put there; `undefined` deletes the place. */
type Mutation = readonly [pick: number, instead: unknown]

function mutated(value: object, [pick, instead]: Mutation): object {
  const copy = structuredClone(value)
  const places: (readonly [object, string])[] = []
  const walk = (node: object): void => {
    for (const [name, child] of Object.entries(node)) {
      places.push([node, name])
      if (typeof child === 'object' && child !== null) walk(child)
    }
  }
  walk(copy)
  const [node, name] = places[pick % places.length] as readonly [object, string]
  if (instead === undefined) Reflect.deleteProperty(node, name)
  else Reflect.set(node, name, instead)
  return copy
}

test('no altered copy of a valid request, sent by another client, changes anything', async () => {
  const { failed, stranger, state, hold, place } = await world()
  const token = hold.token as number
  const valid = [
    beat('s-a'),
    request('s-a', 'k', 2),
    { type: 'renew', key: 'k', session: 's-a', token, lockToken: hold.lockToken },
    { type: 'release', key: 'k', session: 's-a', token, lockToken: hold.lockToken },
    { type: 'withdraw', key: 'k', session: 's-b', number: 1, lockToken: place.lockToken },
    { type: 'expire', key: 'k', evidence: { token, seq: 1 } },
    { type: 'expire', key: 'k', evidence: { session: 's-b', number: 1, seq: 1 } },
    { type: 'revoke', key: 'k' },
    { type: 'pin', key: 'k', entity: 'e' },
    { type: 'sweep', key: 'k' },
    { type: 'challenge', session: 's-b' },
    { type: 'end', session: 's-a', seq: 1 },
  ]
  // Opens the attacker's own session, since two altered copies that match would open it.
  await stranger.post('/v1/apply', { commands: [beat('own')], sender: 'x' })
  const before = await state()
  await stranger.post('/v1/apply', { commands: [request('own', 'k', 2)], sender: 'x' })
  const mutation = fc.tuple(fc.nat(), fc.oneof(fc.constant(undefined), fc.jsonValue(), fc.string(), fc.integer()))
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...valid), mutation, async (command, change) => {
      const response = await stranger.post('/v1/apply', mutated({ commands: [command], sender: 'x' }, change))
      expect(response.status).toBeLessThan(500)
    }),
    { numRuns: 1_000 },
  )
  expect(await state()).toBe(before)
  expect(failed).toEqual([])
}, 120_000)
