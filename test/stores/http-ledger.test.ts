import { createLocks, type HeldLock } from 'storelock'
import type { LockRecord } from 'storelock/protocol'
import { serve } from 'storelock/server'
import { httpStore } from 'storelock/stores/http'
import { memoryStore } from 'storelock/stores/memory'
import { afterEach, expect, test } from 'vitest'
import { makeLedger } from '../../src/stores/http/ledger.ts'

const endings: (() => unknown)[] = []

afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end()
})

const ticket = (key: string, token: number, session = 's') => ({ key, session, token, lockToken: `${key} ${token}` })
const held = (key: string, session: string, token: number) => ({ key, session, name: key, token, mode: 'exclusive' }) as never
const record = (key: string, token: number, ...tokens: number[]): LockRecord => ({
  ...{ key, token, queue: [], pins: [] },
  holders: tokens.map((token) => ({ session: 's', client: 'c', mode: 'exclusive', number: 1, token, previous: 0, expiresAt: 0 })),
})

test('the lockToken of a hold is forgotten once the record no longer names the hold', () => {
  const ledger = makeLedger()
  for (const key of ['lost', 'kept', 'new']) ledger.put(ticket(key, 5))
  ledger.look(record('lost', 7))
  ledger.look(record('kept', 7, 5))
  // This record was read before the grant.
  ledger.look(record('new', 4))
  expect([ledger.held, ledger.ofHold(held('kept', 's', 5)), ledger.ofHold(held('new', 's', 5))]).toEqual([2, 'kept 5', 'new 5'])
})

test('lockTokens of a session are forgotten when the session was ended, or ends itself', () => {
  const ledger = makeLedger()
  for (let index = 0; index < 10; index++) ledger.put(ticket(`k${index}`, 5, index % 2 ? 'gone' : 'here'))
  ledger.saw([{ type: 'beat', session: 'gone', client: 'c', lease: 1_000 }], { outcomes: [{ type: 'ended' }], lockTokens: [] })
  expect(ledger.held).toBe(5)
  ledger.end('here')
  expect(ledger.held).toBe(0)
})

test('holds that are revoked, or that end with their session, leave no lockTokens in a store', { timeout: 60_000 }, async () => {
  const records = memoryStore()
  const server = await serve(records)
  const store = httpStore(server.url)
  endings.push(
    () => server.close(),
    () => store.close(),
  )
  const holds: HeldLock[] = []
  for (let round = 0; round < 2; round++) {
    const locks = createLocks({ store, onWarning() {} })
    for (let index = 0; index < 20; index++) holds.push(await locks.acquire(`${round} ${index}`))
    for (let index = 0; index < 10; index++) {
      const lost = new Promise((resolve) => holds.at(-1 - index)?.signal.addEventListener('abort', resolve))
      await locks.revoke(`${round} ${19 - index}`)
      await lost
    }
    await locks.close()
  }
  for (const lock of holds) expect(() => store.lockToken(lock)).toThrow('has no hold of')
})
