import { describe, expect, test } from 'vitest'
import { lossOf } from '../../src/protocol/index.ts'
import { reasonOf, Table, woken } from './shelf.ts'

const two = { limit: 2 } as const
const shared = { mode: 'shared' } as const

describe('a lock with a limit of n', () => {
  test('it has n holders at once, each with a higher token than the one before', () => {
    const t = new Table()
    const tokens = ['a', 'b', 'c'].map((session) => t.hold(session, { limit: 3 }).token)
    t.wait('d', { limit: 3 })
    expect(t.holders).toEqual(['a', 'b', 'c'])
    expect(tokens).toEqual([...new Set(tokens)].sort((one, other) => one - other))
  })

  test('one session may have several of the places', () => {
    const t = new Table()
    t.hold('a', two)
    t.hold('a', two)
    t.wait('a', two)
    expect(t.holders).toEqual(['a', 'a'])
  })

  test('a release makes room for the first waiter, and for no other', () => {
    const t = new Table()
    const first = t.hold('a', two)
    const second = t.hold('b', two)
    t.wait('c', two)
    t.wait('d', two)
    expect(woken(t.release(second))).toEqual(['c'])
    expect(woken(t.release(first))).toEqual(['d'])
    expect(t.holders).toEqual(['c', 'd'])
  })

  test('as many waiters as fit are granted the lock at once when several places become free', () => {
    const t = new Table()
    t.hold('a', two)
    t.hold('a', two)
    const requests = ['b', 'c', 'd'].map((session) => t.wait(session, two))
    t.end('a')
    expect(woken(t.do({ type: 'withdraw', key: 'k', session: 'd', number: requests[2]?.number ?? 0 }))).toEqual(['b', 'c'])
  })

  test('no request overtakes the queue, even if a place becomes free in the same command', () => {
    const t = new Table()
    t.hold('a', two)
    t.hold('b', two)
    t.wait('c', two)
    t.end('a')
    expect(woken(t.request('d', two))).toEqual(['c'])
    expect(t.queue).toEqual(['d:4-4'])
  })

  test('`ifAvailable` takes the last place, and is refused when no place is free', () => {
    const t = new Table()
    t.hold('a', two)
    t.hold('b', { ...two, ifAvailable: true })
    expect(reasonOf(t.request('c', { ...two, ifAvailable: true }))).toBe('busy')
  })

  test('a repeated request finds its own grant, and takes no second place', () => {
    const t = new Table()
    const request = t.ask('a', two)
    t.do(request)
    expect(t.do(request)).toMatchObject({ type: 'granted', repeated: true })
    expect(t.holders).toEqual(['a'])
  })

  test('a grant that lapses sends its waiter to the back, and its place goes to the next waiter', () => {
    const t = new Table()
    const held = t.hold('a', two)
    t.hold('b', two)
    t.wait('c', two)
    t.wait('d', two)
    t.release(held)
    expect(woken(t.expire(t.holder('c')))).toEqual(['d'])
    expect([t.holders, t.queue, t.lock.queue[0]?.limit]).toEqual([['b', 'd'], ['c:3-3'], 2])
  })

  test('a silent holder is evicted on evidence against it, and the other holders stay', () => {
    const t = new Table()
    const held = t.hold('a', two)
    t.hold('b', two)
    t.wait('c', two)
    const { evicted } = t.expire(held)
    expect([evicted.map(({ session }) => session), t.holders]).toEqual([['a'], ['b', 'c']])
  })

  test('a revocation from one session takes all its places', () => {
    const t = new Table()
    t.hold('a', { limit: 3 })
    t.hold('b', { limit: 3 })
    t.hold('a', { limit: 3 })
    t.do({ type: 'revoke', key: 'k', session: 'a' })
    expect(t.holders).toEqual(['b'])
  })

  test('a holder between two revoked places does not count as revoked', () => {
    const t = new Table()
    const [first, between, last] = ['a', 'b', 'a'].map((session) => t.hold(session, { limit: 3 }).token) as [number, number, number]
    t.do({ type: 'revoke', key: 'k', session: 'a' })
    t.end('b')
    t.hold('c', { limit: 3 })
    expect([first, between, last].map((token) => lossOf(t.lock, token))).toEqual(['revoked', 'ended', 'revoked'])
  })

  test('consecutive requests of one session are one run, and the run keeps the limit', () => {
    const t = new Table()
    t.hold('a', two)
    t.hold('a', two)
    for (let count = 0; count < 3; count++) t.wait('b', two)
    expect([t.queue, t.lock.queue[0]?.limit]).toEqual([['b:3-5'], 2])
  })
})

describe('limits that contradict each other', () => {
  test.each([
    ['a higher limit', { limit: 3 }],
    ['a limit of one', { limit: 1 }],
    ['no limit', {}],
    ['shared mode', shared],
    ['a steal', { steal: true }],
    ['ifAvailable and no limit', { ifAvailable: true }],
  ])('%s is refused while sessions hold a lock with a limit of 2, or wait for it', (_, rest) => {
    const t = new Table()
    const held = t.hold('a', two)
    t.hold('b', two)
    const before = t.lock
    expect(reasonOf(t.request('c', rest))).toBe('limit')
    expect(t.lock).toEqual(before)
    t.wait('d', two)
    t.do({ type: 'revoke', key: 'k' })
    expect([t.holders, reasonOf(t.request('c', rest))]).toEqual([['d'], 'limit'])
    expect(held.limit).toBe(2)
  })

  test.each([
    ['exclusive holder', {}],
    ['shared holder', shared],
  ])('a limit is refused while there is an %s without a limit', (_, rest) => {
    const t = new Table()
    const held = t.hold('a', rest)
    expect(reasonOf(t.request('b', two))).toBe('limit')
    t.release(held)
    t.hold('b', two)
  })

  test('another limit is granted once the sessions that held the lock have ended', () => {
    const t = new Table()
    t.hold('a', two)
    t.end('a')
    expect(t.hold('b', { limit: 3 }).limit).toBe(3)
  })

  test('a limit with `steal`, or in shared mode, is refused also when the lock is free', () => {
    const t = new Table()
    expect(reasonOf(t.request('a', { ...two, steal: true }))).toBe('limit')
    expect(reasonOf(t.request('a', { ...two, ...shared }))).toBe('limit')
    expect(t.hold('a').token).toBeGreaterThan(0)
  })
})
