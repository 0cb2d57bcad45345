import { describe, expect, test } from 'vitest'
import { createLocks } from '../../src/locks/create.ts'
import type { Locks } from '../../src/locks/types.ts'
import { encodeRecord, type LockRecord } from '../../src/protocol/index.ts'
import type { Store } from '../../src/store.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { Shelf } from '../protocol/shelf.ts'
import { errorOf, settle, World } from './world.ts'

/** Every call of the handle shape that takes a name. */
const calls: [string, (locks: Locks, name: string) => Promise<unknown>][] = [
  ['acquire', (locks, name) => locks.acquire(name)],
  ['tryAcquire', (locks, name) => locks.tryAcquire(name)],
  ['reentrant', async (locks, name) => locks.reentrant(name)],
  ['whenFree', (locks, name) => locks.whenFree(name)],
  ['expire', (locks, name) => locks.expire(name)],
  ['revoke', (locks, name) => locks.revoke(name)],
  ['pin', (locks, name) => locks.pin(name, 'x')],
  ['unpin', (locks, name) => locks.unpin(name, 'x')],
]

describe.each(calls)('a name for %s', (_, call) => {
  test.each([
    ['empty', '', 'empty'],
    ['over 1 KiB', 'x'.repeat(1_025), '1024'],
    ['over 1 KiB in UTF-8', 'ü'.repeat(513), '1024'],
    ['with a lone surrogate', 'a\ud800b', 'surrogate'],
    ['with a NUL', 'a\0b', 'NUL'],
  ])('is not %s', async (_, name, word) => {
    const a = new World().process()
    const error = await errorOf(call(a.locks, name))
    expect(error).toMatchObject({ name: 'LockError', code: 'invalid' })
    expect(error.message).toContain(word)
    expect(a.link.sent).toEqual([])
  })

  test.each([undefined, null, 7, {}, Symbol('k')])('is not %s but a string', async (name) => {
    const a = new World().process()
    expect(await errorOf(call(a.locks, name as never))).toBeInstanceOf(TypeError)
    expect(a.link.sent).toEqual([])
  })
})

test('a name of 1 KiB is one', async () => {
  const { locks } = new World().process()
  expect((await locks.acquire('ü'.repeat(512))).isHeld()).toBe(true)
  expect((await locks.acquire('x'.repeat(1_024))).isHeld()).toBe(true)
})

describe('a duration', () => {
  const wrong = [Number.NaN, 0, -1, 99, 86_400_001, Number.POSITIVE_INFINITY, '1000' as never, null as never]

  test.each(wrong)('is not %s', async (duration) => {
    const world = new World()
    expect(() => world.process({ duration })).toThrow(RangeError)
    const a = world.process()
    expect(await errorOf(a.locks.acquire('k', { duration }))).toBeInstanceOf(RangeError)
    expect(await errorOf(a.locks.tryAcquire('k', { duration }))).toBeInstanceOf(RangeError)
    expect(() => a.locks.reentrant('k', { duration })).toThrow(RangeError)
    expect(a.link.sent).toEqual([])
    const lock = await a.locks.acquire('k')
    expect(await errorOf(lock.renew(duration))).toBeInstanceOf(RangeError)
    expect(lock.isHeld()).toBe(true)
  })

  test.each([100, 86_400_000])('may be %s', async (duration) => {
    const world = new World()
    expect((await world.process({ duration }).locks.acquire('k')).isHeld()).toBe(true)
    expect((await world.process().locks.acquire('l', { duration })).isHeld()).toBe(true)
  })
})

describe('options', () => {
  test.each([
    ['no store', {}],
    ['a store that is none', { store: {} }],
    ['nothing', undefined],
    ['a label that is no text', { store: memoryStore(), label: 7 }],
    ['a namespace that is no text', { store: memoryStore(), namespace: 7 }],
    ['an unknown expiry', { store: memoryStore(), expiry: 'never' }],
  ])('createLocks refuses %s with TypeError', (_, options) => {
    expect(() => createLocks(options as never)).toThrow(TypeError)
  })

  test.each([0, -1, Number.NaN, 2 ** 31, '5'])('createLocks refuses maxBackoff %s with RangeError', (maxBackoff) => {
    expect(() => createLocks({ store: memoryStore(), maxBackoff: maxBackoff as never })).toThrow(RangeError)
  })

  test.each(['a\0', '\ud800', 'x'.repeat(1_025)])('createLocks refuses a namespace that is no name', (namespace) => {
    expect(() => createLocks({ store: memoryStore(), namespace })).toThrow(expect.objectContaining({ code: 'invalid' }))
  })

  test.each([
    ['an unknown mode', { mode: 'readonly' }, TypeError],
    ['an unknown renew', { renew: 'never' }, TypeError],
    ['a signal that is none', { signal: {} }, TypeError],
    ['steal with shared mode', { steal: true, mode: 'shared' }, TypeError],
    ['steal with a limit', { steal: true, limit: 2 }, TypeError],
    ['shared mode with a limit', { mode: 'shared', limit: 1 }, TypeError],
    ['a limit of none', { limit: 0 }, RangeError],
    ['a limit that is no whole number', { limit: 1.5 }, RangeError],
    ['a limit without end', { limit: Number.POSITIVE_INFINITY }, RangeError],
    ['a limit of more than a thousand', { limit: 1_001 }, RangeError],
    ['a limit that is text', { limit: '2' }, RangeError],
    ['a limit of null', { limit: null }, RangeError],
    ['a timeout that is NaN', { timeout: Number.NaN }, RangeError],
    ['a negative timeout', { timeout: -1 }, RangeError],
    ['a timeout beyond what a number counts', { timeout: 2 ** 53 }, RangeError],
    ['a timeout that is text', { timeout: '5' }, RangeError],
    ['metadata that is a function', { metadata: () => 1 }, TypeError],
    ['metadata with a cycle', { metadata: cycle() }, TypeError],
    ['metadata with a bigint', { metadata: { n: 1n } }, TypeError],
    ['metadata that is no number', { metadata: Number.NaN }, TypeError],
    ['metadata with an infinite number', { metadata: { n: [Number.POSITIVE_INFINITY] } }, TypeError],
    ['metadata with a function', { metadata: { f: () => 1 } }, TypeError],
    ['metadata with a symbol', { metadata: [Symbol('s')] }, TypeError],
    ['an ask that is no number', { ask: Number.NaN }, TypeError],
  ])('acquire refuses %s', async (_, options, kind) => {
    const a = new World().process()
    expect(await errorOf(a.locks.acquire('k', options as never))).toBeInstanceOf(kind)
    expect(await errorOf(a.locks.tryAcquire('k', options as never))).toBeInstanceOf(kind)
    expect(a.link.sent).toEqual([])
  })
})

function cycle(): object {
  const one: { self?: object } = {}
  one.self = one
  return one
}

describe('J12: a corrupt record', () => {
  /** A store whose texts tests can spoil. */
  function shelf(): { store: Store; texts: Map<string, string> } {
    const shelf = new Shelf()
    const read: Store['read'] = async (key) => {
      const record = shelf.record(key)
      return record && { ...record, sessions: new Map() }
    }
    return { store: { apply: async (commands) => shelf.run(commands), read, list: async () => [], close: async () => {} }, texts: shelf.records }
  }

  const newer = '[3,"something else"]'

  test.each([
    ['acquire', (locks: Locks) => locks.acquire('k')],
    ['tryAcquire', (locks: Locks) => locks.tryAcquire('k')],
    ['request', (locks: Locks) => locks.request('k', () => {})],
    ['reentrant', (locks: Locks) => locks.reentrant('k').acquire()],
    ['query', (locks: Locks) => locks.query('k')],
    ['whenFree', (locks: Locks) => locks.whenFree('k')],
    ['expire', (locks: Locks) => locks.expire('k')],
    ['revoke', (locks: Locks) => locks.revoke('k')],
    ['pin', (locks: Locks) => locks.pin('k', 'x')],
    ['steal', (locks: Locks) => locks.acquire('k', { steal: true })],
  ])('is reported by %s, naming the key, and left as it is', async (_, call) => {
    const { store, texts } = shelf()
    const locks = createLocks({ store })
    for (const [text, code] of [
      ['garbage', 'corrupt'],
      ['[1,2]', 'corrupt'],
      [newer, 'store'],
    ] as const) {
      texts.set('k', text)
      const error = await errorOf(call(locks))
      expect(error).toMatchObject({ name: 'LockError', code })
      expect(error.message).toContain('"k"')
      await settle()
      expect(texts.get('k')).toBe(text)
    }
    await locks.close()
    expect(texts.get('k')).toBe(newer)
  })

  test('does not affect other keys', async () => {
    const { store, texts } = shelf()
    const locks = createLocks({ store })
    texts.set('k', 'garbage')
    const [broken, lock] = await Promise.all([errorOf(locks.acquire('k')), locks.acquire('l')])
    expect([broken.code, lock.isHeld()]).toEqual(['corrupt', true])
    await locks.close()
  })

  test('under a holder makes it lose the lock within its lease, with an error', async () => {
    const { store, texts } = shelf()
    const world = new World()
    const a = world.process({ store, channel: false, beacon: false })
    const lock = await a.locks.acquire('k', { duration: 500 })
    texts.set('k', 'garbage')
    await world.pass(499)
    expect(lock.isHeld()).toBe(true)
    expect(a.warnings).toMatchObject([{ type: 'renewal', error: { code: 'corrupt' } }])
    await world.pass(1)
    expect(lock.isHeld()).toBe(false)
    expect(texts.get('k')).toBe('garbage')
  })

  test('under a waiter ends the wait with corrupt', async () => {
    const { store, texts } = shelf()
    const world = new World()
    const [a, b] = [world.process({ store }), world.process({ store })]
    await a.locks.acquire('k')
    const wait = errorOf(b.locks.acquire('k'))
    await settle()
    texts.set('k', 'garbage')
    await world.pass(200)
    expect(await wait).toMatchObject({ code: 'corrupt' })
  })

  test('that is mended can be locked again, with a higher token', async () => {
    const { store, texts } = shelf()
    const locks = createLocks({ store })
    const lock = await locks.acquire('k')
    const record: LockRecord = { key: 'k', token: lock.token, holders: [], queue: [], pins: [] }
    texts.set('k', 'garbage')
    await lock.release().catch(() => {})
    texts.set('k', encodeRecord(record))
    expect((await locks.acquire('k')).token).toBeGreaterThan(lock.token)
    await locks.close()
  })
})
