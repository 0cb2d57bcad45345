import { expect, test } from 'vitest'
import { createLocks } from '../../src/index.ts'
import { serve } from '../../src/server/index.ts'
import { httpStore } from '../../src/stores/http.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { atEnd } from './world.ts'

const token = (name: string): string => `token-of-${name}`.padEnd(32, '-')
const clients = [
  { name: 'victim', token: token('victim'), prefixes: ['v'] },
  { name: 'attacker', token: token('attacker'), prefixes: ['a', '@a', '7', 'true', 'null', 'undefined'] },
]
const huge = 2 ** 53 - 1

/** A server on a port, a victim that holds one lock and waits for another, and an attacker with few rights. */
async function world() {
  const { url } = atEnd(await serve(memoryStore(), { clients, limits: { rate: 1_000_000 } }))
  const locksOf = (name: string) => {
    const store = atEnd(httpStore(url, { token: token(name) }))
    return { store, locks: atEnd(createLocks({ store })) }
  }
  const { locks: owner } = locksOf('victim')
  const { locks: victim, store: victims } = locksOf('victim')
  const { locks: attacker, store: attackers } = locksOf('attacker')
  const taken = await owner.acquire('v-taken')
  const held = await victim.acquire('v-held')
  const waiting = victim.acquire('v-taken')
  const won: unknown[] = []
  waiting.then((lock) => won.push(lock.token))
  for (let count = 0; !(await owner.query()).pending.length; count++) if (count > 1_000) throw new Error('the victim never waited')
  const own = await attacker.acquire('a-own')
  const statuses = new Set<number>()
  const post = async (path: string, body: unknown): Promise<{ outcomes?: { type: string }[]; valid?: boolean }> => {
    const headers = { authorization: `Bearer ${token('attacker')}`, 'storelock-client': 'a-hostile-client-key', 'content-type': 'application/json' }
    const response = await fetch(url + path, { method: 'POST', headers, body: typeof body === 'string' ? body : JSON.stringify(body) })
    statuses.add(response.status)
    return (await response.json().catch(() => ({}))) as { outcomes?: { type: string }[] }
  }
  /** Waits for two answers, so that earlier messages have arrived, then expects that nothing has changed. */
  const assertUnmoved = async (): Promise<void> => {
    await attackers.read('a-own')
    await victims.read('v-held')
    expect({ won, held: held.isHeld(), token: held.token, aborted: held.signal.aborted, taken: taken.isHeld() }).toEqual({
      ...{ won: [], held: true, token: held.token, aborted: false, taken: true },
    })
    expect(Math.max(...statuses)).toBeLessThan(500)
  }
  return { url, post, assertUnmoved, victim, owner, taken, held, waiting, own, attackers, victims, statuses }
}

test('no hint from a hostile client affects a holder or a waiter', async () => {
  const { post, assertUnmoved, victim, taken, held, waiting } = await world()
  const tokenOf = held.token
  const keys: unknown[] = [
    7,
    true,
    null,
    undefined,
    [],
    ['v-taken'],
    {},
    { toString: 'v-taken' },
    'v-taken',
    'v-held',
    'a-own',
    '@a/v-taken',
    'x'.repeat(5_000),
    '\0',
  ]
  const grants = [
    { number: 1, token: huge, previous: 0 },
    { number: 2, token: huge, previous: huge - 1, reserve: 1_000 },
    { number: '1', token: `${huge}`, previous: null },
    { number: 1, token: -1, previous: -2 },
    { number: 1, token: 1e308, previous: 0, lockTokens: 'forged' },
    { token: huge, watch: victim.session },
  ]
  for (const topic of [victim.session, encodeURIComponent(victim.session), 'v-taken', '@a/v-taken'])
    for (const key of keys)
      for (const grant of grants) await post('/v1/publish', { messages: [{ topic, message: key === undefined ? grant : { key, ...grant } }] })
  await post(
    '/v1/publish',
    `{"messages":[{"topic":${JSON.stringify(victim.session)},"message":{"__proto__":{"key":"v-taken"},"token":${huge},"number":1}}]}`,
  )
  await assertUnmoved()
  expect(held.token).toBe(tokenOf)
  await taken.release()
  const got = await waiting
  expect([got.isHeld(), got.token < 2 ** 52, held.isHeld()]).toEqual([true, true, true])
  await got.release()
  await held.release()
}, 300_000)

test('no command from a hostile client affects a holder or a waiter, whichever part of it is forged', async () => {
  const { post, assertUnmoved, victim, owner, held, taken, waiting, own, attackers, url } = await world()
  const ownToken = attackers.lockToken(own)
  const sessions = [victim.session, owner.session, 'never']
  const tokens = [held.token, taken.token, huge, 1.5, `${held.token}`]
  const lockTokens = [undefined, ownToken, `${ownToken}x`, null]
  for (const session of sessions) {
    for (const key of ['v-held', 'v-taken', 'a-own']) {
      const batch: unknown[] = []
      for (const each of tokens)
        for (const lockToken of lockTokens) for (const type of ['renew', 'release']) batch.push({ type, key, session, token: each, lockToken })
      for (let number = 0; number < 4; number++) batch.push({ type: 'withdraw', key, session, number, lockToken: ownToken })
      for (const steal of [true, false]) batch.push({ type: 'request', key, session, client: 'c', number: 9, mode: 'exclusive', confirm: 500, steal })
      for (const each of [held.token, taken.token]) batch.push({ type: 'expire', key, session, evidence: { token: each, seq: 1 } })
      batch.push({ type: 'expire', key, evidence: { session: victim.session, number: 1, seq: 1 } })
      batch.push({ type: 'revoke', key }, { type: 'pin', key, entity: 'x' }, { type: 'sweep', key })
      // One at a time, since one malformed command would have the whole batch refused.
      for (const command of batch) await post('/v1/apply', { commands: [command] })
    }
    for (const opens of [true, false, undefined]) await post('/v1/apply', { commands: [{ type: 'beat', session, client: 'c', lease: 1, opens }] })
    for (const seq of [undefined, 0, 1, 2, 3])
      await post('/v1/apply', {
        commands: [
          { type: 'end', session, seq },
          { type: 'challenge', session },
        ],
      })
  }
  for (const key of ['v-held', 'v-taken', 'a-own'])
    for (const lockToken of [ownToken, `${ownToken}x`, 'sl1.x.y'])
      if (key !== 'a-own' || lockToken !== ownToken) expect((await post('/v1/verify', { key, lockToken })).valid).not.toBe(true)
  await assertUnmoved()
  expect(own.isHeld()).toBe(true)
  // The attacker receives no messages for other sessions, either.
  const response = await fetch(`${url}/v1/events?topic=${victim.session}&topic=a-last`, { headers: { authorization: `Bearer ${token('attacker')}` } })
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  await taken.release()
  const got = await waiting
  expect([got.isHeld(), got.token < 2 ** 52]).toEqual([true, true])
  await post('/v1/publish', { messages: [{ topic: 'a-last', message: {} }] })
  let heard = ''
  while (!heard.includes('"a-last"')) heard += new TextDecoder().decode((await reader.read()).value)
  expect(heard).not.toContain('v-taken')
  await reader.cancel()
}, 300_000)
