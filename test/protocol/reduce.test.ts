import { describe, expect, test } from 'vitest'
import { evictionOf, expiryOf, lastTokenOf, leaseOf, lossOf, reduce, seqOf } from '../../src/protocol/index.ts'
import { confirm, lease, reasonOf, Table, woken } from './shelf.ts'

const shared = { mode: 'shared' } as const

describe('tokens', () => {
  test('a grant has the wall time in microseconds as its token', () => {
    const t = new Table()
    t.now = 1_234_567.8
    expect(t.hold('a').token).toBe(1_234_567_800)
  })

  test('of a lock that is acquired 500,000 times a second, lingering or not, do not run ahead of the clock', () => {
    const t = new Table()
    for (let turn = 0; turn < 2_000; turn++) {
      t.now += 0.002
      t.release(t.hold('a'))
    }
    expect(t.lock.token).toBeLessThanOrEqual(1_000 * t.now)
    for (let grant = 0; grant < 10; grant++) {
      const held = t.hold('a', { reserve: 10_000 })
      t.now += 10_000 * 0.002
      t.release(held)
    }
    expect(t.lock.token).toBeLessThanOrEqual(1_000 * t.now)
  })

  test('a holder has the time of its grant, even if its token shows another time, and a renewal keeps that time', () => {
    const t = new Table()
    t.release(t.hold('a'))
    t.now -= 500_000
    const since = t.now
    const held = t.hold('b')
    t.now += 100
    t.renew(held)
    expect(t.holder('b')).toMatchObject({ since, token: held.token })
    expect(held.token).toBeGreaterThan(1_000 * t.now)
  })

  test('a record has the time of its last change, which a command that changes nothing does not touch', () => {
    const t = new Table()
    const held = t.hold('a')
    t.now += 100
    t.request('b', { ifAvailable: true })
    expect(t.lock.changedAt).toBe(held.since)
    t.release(held)
    expect(t.lock.changedAt).toBe(t.now)
  })

  test('a grant has a higher token than the one before, even in the same microsecond', () => {
    const t = new Table()
    const first = t.hold('a')
    t.release(first)
    expect(t.hold('a').token).toBe(first.token + 1)
  })

  test('J11: a token rises when wall time steps back', () => {
    const t = new Table()
    const first = t.hold('a')
    t.release(first)
    t.now -= 500_000
    expect(t.hold('b').token).toBe(first.token + 1)
  })

  test('every shared holder has its own token', () => {
    const t = new Table()
    const tokens = [t.hold('a', shared), t.hold('b', shared), t.hold('c', shared)].map(({ token }) => token)
    const now = 1_000 * t.now
    expect(tokens).toEqual([now, now + 1, now + 2])
  })

  test('a release does not lower the last token', () => {
    const t = new Table()
    const { token } = t.hold('a')
    t.release(t.holder('a'))
    expect(t.lock).toMatchObject({ token, holders: [] })
  })

  test('a grant names the last token before it, or 0 if it is the first', () => {
    const t = new Table()
    const first = t.hold('a')
    expect(first.previous).toBe(0)
    t.release(first)
    expect(t.hold('b').previous).toBe(first.token)
  })

  test('tokens that a grant reserves go to no other grant', () => {
    const t = new Table()
    const first = t.hold('a', { reserve: 9 })
    const now = 1_000 * t.now
    expect([first.token, lastTokenOf(first), t.lock.token]).toEqual([now, now + 9, now + 9])
    t.wait('b', { reserve: 4 })
    t.release(first)
    expect(t.holder('b')).toMatchObject({ token: now + 10, previous: now + 9 })
    expect(lastTokenOf(t.holder('b'))).toBe(now + 14)
  })

  test('a holder with reserved tokens is notified once, of the first waiter', () => {
    const t = new Table()
    const first = t.hold('a', { reserve: 9 })
    t.request('b', { ifAvailable: true })
    expect(t.session('a')?.asks).toBe(0)
    t.wait('b')
    t.wait('c')
    expect(t.session('a')?.asks).toBe(1)
    t.release(first)
    expect(t.session('b')?.asks).toBe(0)
  })

  test('a renewal keeps the token', () => {
    const t = new Table()
    const first = t.hold('a')
    t.now += 100
    t.renew(first)
    expect(t.holder('a').token).toBe(first.token)
  })
})

describe('who gets the lock', () => {
  test('an exclusive holder makes exclusive and shared requests wait', () => {
    const t = new Table()
    t.hold('a')
    expect(t.request('b').type).toBe('queued')
    expect(t.request('c', shared).type).toBe('queued')
    expect(t.holders).toEqual(['a'])
  })

  test('shared holders hold together, and an exclusive request waits for all of them', () => {
    const t = new Table()
    const a = t.hold('a', shared)
    const b = t.hold('b', shared)
    t.wait('c')
    expect(woken(t.release(a))).toEqual([])
    expect(woken(t.release(b))).toEqual(['c'])
  })

  test('a shared request waits behind a queued exclusive one', () => {
    const t = new Table()
    t.hold('a', shared)
    t.wait('b')
    t.wait('c', shared)
    expect(t.holders).toEqual(['a'])
  })

  test('a shared request behind an exclusive one is granted when the exclusive one is withdrawn', () => {
    const t = new Table()
    t.hold('a', shared)
    const { number } = t.wait('b')
    t.wait('c', shared)
    expect(woken(t.do({ type: 'withdraw', key: 'k', session: 'b', number }))).toEqual(['c'])
  })

  test('a release grants to the head of the queue, and wakes no other session', () => {
    const t = new Table()
    const a = t.hold('a')
    t.wait('b')
    t.wait('c')
    expect(woken(t.release(a))).toEqual(['b'])
    expect(t.holders).toEqual(['b'])
    expect(t.queue).toEqual(['c:3-3'])
  })

  test('a release grants to all shared requests at the head, and to no request behind an exclusive one', () => {
    const t = new Table()
    const a = t.hold('a')
    t.wait('b', shared)
    t.wait('c', shared)
    t.wait('d')
    t.wait('b', shared)
    expect(woken(t.release(a))).toEqual(['b', 'c'])
    expect(t.queue).toEqual(['d:4-4', 'b:5-5'])
  })

  test('a release can grant to the releasing session itself, and that grant needs no confirmation', () => {
    const t = new Table()
    const a = t.hold('a')
    t.wait('a')
    const { grants } = t.release(a)
    expect(grants).toMatchObject([{ session: 'a', number: 2, unconfirmed: undefined }])
  })

  test('keys do not affect one another', () => {
    const t = new Table()
    t.hold('a')
    expect(t.hold('b', { key: 'other' })).toMatchObject({ session: 'b', previous: 0 })
    expect(t.holders).toEqual(['a'])
  })

  test('a command does not modify the record object that it is given', () => {
    const t = new Table()
    const a = t.hold('a')
    t.wait('b')
    const before = t.lock
    const kept = structuredClone(before)
    const step = reduce(before, { type: 'release', key: 'k', session: 'a', token: a.token }, { now: t.now, session: (id) => t.session(id) })
    expect(before).toEqual(kept)
    expect(step.record).not.toBe(before)
  })
})

describe('ifAvailable', () => {
  test('it is granted when the lock is free', () => {
    expect(new Table().request('a', { ifAvailable: true }).type).toBe('granted')
  })

  test('it is refused and does not queue when the lock is held', () => {
    const t = new Table()
    t.hold('a')
    expect(reasonOf(t.request('b', { ifAvailable: true }))).toBe('busy')
    expect(t.queue).toEqual([])
  })

  test('a shared request joins shared holders unless the queue has a waiter', () => {
    const t = new Table()
    t.hold('a', shared)
    expect(t.request('b', { ...shared, ifAvailable: true }).type).toBe('granted')
    t.wait('c')
    expect(reasonOf(t.request('d', { ...shared, ifAvailable: true }))).toBe('busy')
  })

  test('it is granted when all sessions that hold or wait have ended', () => {
    const t = new Table()
    t.hold('a')
    t.wait('b')
    t.end('a')
    t.end('b')
    expect(t.request('c', { ifAvailable: true }).type).toBe('granted')
    expect(t.lock).toMatchObject({ holders: [{ session: 'c' }], queue: [] })
  })
})

describe('steal', () => {
  test('it takes the lock from its holder, names that holder and goes ahead of the queue', () => {
    const t = new Table()
    const a = t.hold('a')
    t.wait('b')
    const outcome = t.request('c', { steal: true })
    expect(outcome).toMatchObject({ type: 'granted', holder: { session: 'c' }, evicted: [{ session: 'a', token: a.token }], grants: [] })
    expect(t.holders).toEqual(['c'])
    expect(t.queue).toEqual(['b:2-2'])
  })

  test('it takes the lock from all shared holders', () => {
    const t = new Table()
    t.hold('a', shared)
    t.hold('b', shared)
    expect(t.request('c', { steal: true }).evicted.map(({ session }) => session)).toEqual(['a', 'b'])
  })

  test('its token is higher than that of the hold it ended', () => {
    const t = new Table()
    const a = t.hold('a')
    expect(t.hold('b', { steal: true }).token).toBeGreaterThan(a.token)
  })

  test('it counts an eviction in the row of the session that lost the lock, and in no other', () => {
    const t = new Table()
    t.hold('a')
    t.hold('b', { steal: true })
    expect(t.session('a')?.evictions).toBe(1)
    expect(t.session('b')?.evictions).toBe(0)
  })

  test('it takes a pinned lock too: a pin only shields from evidence', () => {
    const t = new Table()
    t.hold('a')
    t.do({ type: 'pin', key: 'k', entity: 'p' })
    expect(t.hold('b', { steal: true }).session).toBe('b')
  })

  test('it evicts no holder a second time when it is repeated', () => {
    const t = new Table()
    t.hold('a')
    const steal = t.ask('b', { steal: true })
    t.do(steal)
    expect(t.do(steal)).toMatchObject({ type: 'granted', repeated: true, evicted: [] })
    expect(t.session('b')?.evictions).toBe(0)
  })
})

describe('withdraw', () => {
  test('T5: a withdrawn request leaves the queue and is never granted', () => {
    const t = new Table()
    const a = t.hold('a')
    const { number } = t.wait('b')
    expect(t.do({ type: 'withdraw', key: 'k', session: 'b', number }).type).toBe('done')
    expect(t.queue).toEqual([])
    expect(woken(t.release(a))).toEqual([])
  })

  test('T5: withdrawing a request that was granted meanwhile releases the lock to the next waiter', () => {
    const t = new Table()
    const a = t.hold('a')
    const { number } = t.wait('b')
    t.wait('c')
    t.release(a)
    expect(t.do({ type: 'withdraw', key: 'k', session: 'b', number })).toMatchObject({ type: 'done', grants: [{ session: 'c' }], evicted: [] })
  })

  test('withdrawing from the middle of a run splits it and keeps the order', () => {
    const t = new Table()
    const a = t.hold('a')
    for (let count = 0; count < 5; count++) t.wait('b')
    t.do({ type: 'withdraw', key: 'k', session: 'b', number: 4 })
    expect(t.queue).toEqual(['b:2-3', 'b:5-6'])
    const granted: number[] = []
    for (let { grants } = t.release(a); grants[0]; { grants } = t.release(grants[0])) granted.push(grants[0].number)
    expect(granted).toEqual([2, 3, 5, 6])
  })

  test('withdrawing the first or the last of a run shortens it', () => {
    const t = new Table()
    t.hold('a')
    for (let count = 0; count < 4; count++) t.wait('b')
    t.do({ type: 'withdraw', key: 'k', session: 'b', number: 2 })
    t.do({ type: 'withdraw', key: 'k', session: 'b', number: 5 })
    expect(t.queue).toEqual(['b:3-4'])
  })

  test("another session's request cannot be withdrawn", () => {
    const t = new Table()
    t.hold('a')
    const { number } = t.wait('b')
    expect(reasonOf(t.do({ type: 'withdraw', key: 'k', session: 'c', number }))).toBe('not-held')
    expect(t.queue).toEqual(['b:2-2'])
  })

  test('withdrawing a request that neither waits nor holds is refused', () => {
    expect(reasonOf(new Table().do({ type: 'withdraw', key: 'k', session: 'a', number: 7 }))).toBe('not-held')
  })

  test('T5: a thousand withdrawn requests leave no trace', () => {
    const t = new Table()
    t.hold('a')
    const before = t.records.get('k')
    const numbers = Array.from({ length: 1000 }, () => t.wait('b').number)
    // Withdraws every second request first, which leaves 500 runs of one request.
    numbers.sort((one, other) => (one % 2) - (other % 2))
    for (const number of numbers) t.do({ type: 'withdraw', key: 'k', session: 'b', number })
    expect(t.records.get('k')).toBe(before)
  })
})

describe('renew', () => {
  test('a renewal moves the expiry to now plus the lease, not by the lease', () => {
    const t = new Table()
    const a = t.hold('a')
    t.now += 5_000
    t.renew(a)
    t.renew(a)
    expect(expiryOf(t.holder('a'), new Map([['a', t.session('a') as never]]))).toBe(t.now + lease)
  })

  test('J4: a renewal never shortens a lease', () => {
    const t = new Table()
    const a = t.hold('a', { lease: 60_000 })
    t.renew(a, { lease: 1_000 })
    expect(t.holder('a')).toMatchObject({ lease: 60_000, expiresAt: a.expiresAt })
    t.renew(a)
    expect(t.holder('a')).toMatchObject({ lease: 60_000, expiresAt: a.expiresAt })
  })

  test('J4: a renewal may lengthen a lease', () => {
    const t = new Table()
    t.renew(t.hold('a', { lease: 20_000 }), { lease: 30_000 })
    expect(t.holder('a')).toMatchObject({ lease: 30_000, expiresAt: t.now + 30_000 })
  })

  test('J4: the first own lease of a hold is at least as long as the session lease that it leaned on', () => {
    const t = new Table()
    t.renew(t.hold('a'), { lease: 500 })
    expect(t.holder('a').lease).toBe(lease)
  })

  test('J4: the expiry stays when wall time steps back', () => {
    const t = new Table()
    const a = t.hold('a')
    t.now -= 3_600_000
    t.renew(a)
    expect(t.holder('a').expiresAt).toBe(a.expiresAt)
  })

  test('J4: a renewal works on a stale hold that nobody has evicted', () => {
    const t = new Table()
    const a = t.hold('a')
    t.wait('b')
    t.now += 100 * lease
    expect(t.renew(a)).toMatchObject({ type: 'renewed', holder: { session: 'a', token: a.token, expiresAt: t.now + lease }, grants: [] })
  })

  test('J4: a renewal cannot change the holder', () => {
    const t = new Table()
    const a = t.hold('a')
    const before = t.lock
    expect(reasonOf(t.renew(a, { session: 'b', lease: 99_999 }))).toBe('not-owner')
    expect(t.lock).toEqual(before)
  })

  test('J4: a renewal of a hold that was evicted is refused, and does not take the lock back', () => {
    const t = new Table()
    const a = t.hold('a')
    t.expire(a)
    expect(reasonOf(t.renew(a))).toBe('not-held')
    expect(t.holders).toEqual([])
  })

  test('a renewal with the token of an earlier hold of the same session is refused', () => {
    const t = new Table()
    const first = t.hold('a')
    t.release(first)
    t.hold('a')
    expect(reasonOf(t.renew(first))).toBe('not-held')
  })

  test("a plain hold is renewed by its session's seq, and a hold with its own lease by its own seq", () => {
    const t = new Table()
    const plain = t.hold('a')
    const own = t.hold('b', { key: 'other', lease: 20_000 })
    t.renew(plain)
    expect(t.session('a')?.seq).toBe(2)
    expect(plain.seq).toBeUndefined()
    const outcome = t.do({ type: 'renew', key: 'other', session: 'b', token: own.token })
    expect(outcome).toMatchObject({ holder: { seq: (own.seq as number) - 1 } })
    expect(t.session('b')?.seq).toBe(1)
  })

  test('every renewal leaves a seq that the hold never had before', () => {
    const t = new Table()
    const a = t.hold('a')
    t.wait('b')
    t.release(a)
    const seen = [t.holder('b').seq]
    t.renew(t.holder('b'))
    for (let count = 0; count < 3; count++) {
      t.renew(t.holder('b'), { lease: 20_000 })
      seen.push(t.holder('b').seq)
    }
    expect(new Set(seen).size).toBe(4)
  })
})

describe('release', () => {
  test("L2: another session's hold cannot be released", () => {
    const t = new Table()
    const a = t.hold('a')
    t.wait('b')
    const before = t.lock
    expect(t.release(a, 'b')).toMatchObject({ type: 'refused', reason: 'not-owner', grants: [] })
    expect(t.lock).toEqual(before)
  })

  test('L2: releasing with a wrong token is refused', () => {
    const t = new Table()
    const a = t.hold('a')
    expect(reasonOf(t.release({ ...a, token: a.token + 1 }))).toBe('not-held')
    expect(t.holders).toEqual(['a'])
  })

  test('T5: a second release is refused and harmless', () => {
    const t = new Table()
    const a = t.hold('a')
    t.release(a)
    const again = t.hold('a')
    expect(reasonOf(t.release(a))).toBe('not-held')
    expect(t.holder('a')).toEqual(again)
  })

  test('releasing one shared hold leaves the others', () => {
    const t = new Table()
    const a = t.hold('a', shared)
    t.hold('b', shared)
    t.release(a)
    expect(t.holders).toEqual(['b'])
  })
})

describe('expire', () => {
  test('J5: a holder is evicted if its token and seq are as they were seen, and the next request is granted', () => {
    const t = new Table()
    const a = t.hold('a')
    t.wait('b')
    expect(t.expire(a)).toMatchObject({ type: 'done', evicted: [{ session: 'a', token: a.token }], grants: [{ session: 'b' }] })
    expect(t.holders).toEqual(['b'])
  })

  test('J5: a live lease is refused: its session has sent a beat since', () => {
    const t = new Table()
    const a = t.hold('a')
    const seen = t.session('a')?.seq
    t.beat('a')
    expect(reasonOf(t.expire(a, seen))).toBe('live')
    expect(t.holders).toEqual(['a'])
  })

  test('J5: a live lease is refused: the hold was renewed by hand since', () => {
    const t = new Table()
    const a = t.hold('a', { lease: 20_000 })
    t.renew(a)
    expect(reasonOf(t.expire(a))).toBe('live')
  })

  test('J5: an unheld lease is refused', () => {
    const t = new Table()
    expect(reasonOf(t.do({ type: 'expire', key: 'k', evidence: { token: 1, seq: 1 } }))).toBe('not-held')
  })

  test('J5: evidence against an earlier hold does not count against the next hold of the same session', () => {
    const t = new Table()
    const first = t.hold('a')
    const seen = t.session('a')?.seq
    t.release(first)
    t.hold('a')
    expect(t.session('a')?.seq).toBe(seen)
    expect(reasonOf(t.expire(first, seen))).toBe('not-held')
    expect(t.holders).toEqual(['a'])
  })

  test("J5: a hold with its own seq is judged by that seq, not by its session's", () => {
    const t = new Table()
    const a = t.hold('a', { lease: 20_000 })
    expect(reasonOf(t.expire(a, t.session('a')?.seq))).toBe('live')
    t.beat('a')
    expect(t.expire(a, a.seq).type).toBe('done')
  })

  test('J11: wall time far past the expiry evicts no holder', () => {
    const t = new Table()
    t.hold('a')
    t.now += 1000 * lease
    t.wait('b')
    expect(reasonOf(t.request('c', { ifAvailable: true }))).toBe('busy')
    expect(t.holders).toEqual(['a'])
  })

  test('J11: evidence counts even if the expiry is in the future by the wall clock', () => {
    const t = new Table()
    const a = t.hold('a')
    t.now -= 1000 * lease
    expect(t.expire(a).type).toBe('done')
  })

  test('an eviction is counted in the row of the evicted session', () => {
    const t = new Table()
    const a = t.hold('a', shared)
    t.hold('b', shared)
    t.expire(a)
    expect(t.session('a')?.evictions).toBe(1)
    expect(t.session('b')?.evictions).toBe(0)
  })

  test('every hold of a session that is evicted in one batch is counted', () => {
    const t = new Table()
    const holds = ['k', 'l', 'm'].map((key) => t.hold('a', { key }))
    t.run(holds.map(({ token }, index) => ({ type: 'expire', key: ['k', 'l', 'm'][index] as string, evidence: { token, seq: 1 } })))
    expect(t.session('a')?.evictions).toBe(3)
  })

  test('a grant to the session that gave the evidence needs no confirmation, and a grant to another session does', () => {
    const t = new Table()
    const a = t.hold('a')
    t.wait('b', shared)
    t.wait('c', shared)
    const { grants } = t.do({ type: 'expire', key: 'k', session: 'c', evidence: { token: a.token, seq: 1 } })
    expect(grants).toMatchObject([
      { session: 'b', unconfirmed: { confirm, lapses: 0 } },
      { session: 'c', unconfirmed: undefined },
    ])
  })

  test('a silent waiter is dropped, and the request behind it is granted', () => {
    const t = new Table()
    t.hold('a', shared)
    const { number } = t.wait('b')
    t.wait('c', shared)
    const outcome = t.do({ type: 'expire', key: 'k', evidence: { session: 'b', number, seq: 1 } })
    expect(outcome).toMatchObject({ type: 'done', grants: [{ session: 'c' }] })
    expect(t.queue).toEqual([])
  })

  test('a silent waiter is dropped with its whole run', () => {
    const t = new Table()
    t.hold('a')
    for (let count = 0; count < 3; count++) t.wait('b')
    t.wait('c')
    t.do({ type: 'expire', key: 'k', evidence: { session: 'b', number: 3, seq: 1 } })
    expect(t.queue).toEqual(['c:5-5'])
  })

  test('a waiter whose session has sent a beat since is not dropped', () => {
    const t = new Table()
    t.hold('a')
    const { number } = t.wait('b')
    t.beat('b')
    expect(reasonOf(t.do({ type: 'expire', key: 'k', evidence: { session: 'b', number, seq: 1 } }))).toBe('live')
    expect(t.queue).toEqual(['b:2-2'])
  })

  test('evidence against a request that does not wait is refused', () => {
    const t = new Table()
    t.hold('a')
    expect(reasonOf(t.do({ type: 'expire', key: 'k', evidence: { session: 'b', number: 9, seq: 1 } }))).toBe('not-held')
  })
})

describe('unconfirmed grants', () => {
  /** A table where `a` has released the lock to `b`, and `waiters` wait behind `b`. */
  const granted = (...waiters: string[]): Table => {
    const t = new Table()
    const a = t.hold('a')
    t.wait('b')
    for (const session of waiters) t.wait(session)
    t.release(a)
    return t
  }

  test("a grant that another session's command makes has the short lease of its waiter", () => {
    const t = granted()
    const b = t.holder('b')
    expect(b).toMatchObject({ unconfirmed: { confirm, lapses: 0 }, expiresAt: t.now + confirm })
    expect(leaseOf(b, new Map())).toBe(confirm)
  })

  test("it does not lean on its session's row: a beat does not confirm it", () => {
    const t = granted()
    t.beat('b')
    expect(t.expire(t.holder('b')).type).toBe('done')
  })

  test('a renewal by its owner confirms it, and it leans on its session from then on', () => {
    const t = granted()
    t.renew(t.holder('b'))
    const b = t.holder('b')
    expect(b).toMatchObject({ unconfirmed: undefined, seq: undefined, lease: undefined, expiresAt: t.now + lease })
    expect(seqOf(b, new Map([['b', t.session('b') as never]]))).toBe(t.session('b')?.seq)
  })

  test('a renewal by its owner gives it the lease that the request asked for', () => {
    const t = new Table()
    const a = t.hold('a')
    t.wait('b', { lease: 50_000 })
    t.release(a)
    expect(leaseOf(t.holder('b'), new Map())).toBe(confirm)
    t.renew(t.holder('b'))
    expect(leaseOf(t.holder('b'), new Map())).toBe(50_000)
  })

  test('it cannot be confirmed by another session', () => {
    const t = granted()
    expect(reasonOf(t.renew(t.holder('b'), { session: 'a' }))).toBe('not-owner')
    expect(t.holder('b').unconfirmed).toBeDefined()
  })

  test('evidence from its unconfirmed time is void once it is confirmed, or has its own lease', () => {
    const t = granted()
    const seen = t.holder('b')
    t.renew(seen)
    expect(reasonOf(t.expire(seen))).toBe('live')
    t.renew(seen, { lease: 20_000 })
    expect(reasonOf(t.expire(seen))).toBe('live')
  })

  test('a lapsed grant sends its waiter to the back of the queue', () => {
    const t = granted('c', 'd')
    expect(woken(t.expire(t.holder('b')))).toEqual(['c'])
    expect(t.queue).toEqual(['d:4-4', 'b:2-2'])
  })

  test('a lapsed grant counts as an eviction of its owner', () => {
    const t = granted('c')
    t.expire(t.holder('b'))
    expect(t.session('b')?.evictions).toBe(1)
  })

  test('a waiter whose grants lapse is sent to the back twice, then dropped', () => {
    const t = granted()
    t.expire(t.holder('b'))
    expect(t.holder('b').unconfirmed?.lapses).toBe(1)
    t.expire(t.holder('b'))
    expect(t.holder('b').unconfirmed?.lapses).toBe(2)
    expect(woken(t.expire(t.holder('b')))).toEqual([])
    expect(t.lock).toMatchObject({ holders: [], queue: [] })
  })

  test('a grant after a lapse has a higher token', () => {
    const t = granted()
    const first = t.holder('b')
    t.expire(first)
    expect(t.holder('b').token).toBeGreaterThan(first.token)
  })

  test('a confirmed hold that is evicted does not queue again', () => {
    const t = granted('c')
    t.renew(t.holder('b'))
    t.expire(t.holder('b'))
    expect(t.holders).toEqual(['c'])
    expect(t.queue).toEqual([])
  })
})

describe('pins', () => {
  const pin = { type: 'pin', key: 'k', entity: 'p' } as const
  const unpin = { type: 'unpin', key: 'k', entity: 'p' } as const

  test('J9: a pinned holder is not evicted by evidence', () => {
    const t = new Table()
    const a = t.hold('a')
    t.do(pin)
    expect(reasonOf(t.expire(a))).toBe('pinned')
    expect(t.holders).toEqual(['a'])
  })

  test('J9: a pinned holder stays when its session has ended', () => {
    const t = new Table()
    t.hold('a')
    t.do(pin)
    t.end('a')
    t.wait('b')
    expect(t.holders).toEqual(['a'])
  })

  test('J9: an unpinned holder whose session has ended is dropped at the next command', () => {
    const t = new Table()
    t.hold('a')
    t.do(pin)
    t.end('a')
    t.do(unpin)
    expect(t.hold('b').session).toBe('b')
  })

  test('J9: pinning is idempotent', () => {
    const t = new Table()
    t.do(pin)
    expect(t.do(pin).type).toBe('done')
    expect(t.lock.pins).toEqual(['p'])
    t.do(unpin)
    expect(t.lock.pins).toEqual([])
  })

  test('J9: unpinning a lock that is not pinned is refused', () => {
    expect(reasonOf(new Table().do(unpin))).toBe('not-held')
  })

  test('J9: a holder is kept until the last entity has unpinned', () => {
    const t = new Table()
    const a = t.hold('a')
    t.do(pin)
    t.do({ ...pin, entity: 'q' })
    t.do(unpin)
    expect(reasonOf(t.expire(a))).toBe('pinned')
    t.do({ ...unpin, entity: 'q' })
    expect(t.expire(a).type).toBe('done')
  })

  test('J9: a pin may be set before there is a holder', () => {
    const t = new Table()
    t.do(pin)
    expect(reasonOf(t.expire(t.hold('a')))).toBe('pinned')
  })

  test('J9: a pinned holder may release', () => {
    const t = new Table()
    const a = t.hold('a')
    t.do(pin)
    expect(t.release(a).type).toBe('done')
    expect(t.lock).toMatchObject({ holders: [], pins: ['p'] })
  })
})

describe('revoke', () => {
  test('J10: revoking takes the lock from its live holder, whether pinned or not, and grants to the next', () => {
    const t = new Table()
    t.hold('a')
    t.wait('b')
    t.do({ type: 'pin', key: 'k', entity: 'p' })
    expect(t.do({ type: 'revoke', key: 'k', session: 'a' })).toMatchObject({
      ...{ type: 'done', evicted: [{ session: 'a' }], grants: [{ session: 'b' }] },
    })
    expect(t.session('a')?.evictions).toBe(1)
  })

  test('J10: revoking a missing lock is not an error', () => {
    const t = new Table()
    expect(t.do({ type: 'revoke', key: 'k', session: 'a' }).type).toBe('done')
    expect(t.record('k')).toBeUndefined()
  })

  test("J10: revoking another holder's lock is refused", () => {
    const t = new Table()
    t.hold('a')
    expect(reasonOf(t.do({ type: 'revoke', key: 'k', session: 'b' }))).toBe('not-owner')
    expect(t.holders).toEqual(['a'])
  })

  test('J10: revoking one of several shared holders leaves the others', () => {
    const t = new Table()
    t.hold('a', shared)
    t.hold('b', shared)
    t.do({ type: 'revoke', key: 'k', session: 'a' })
    expect(t.holders).toEqual(['b'])
  })

  test('J10: revoking without naming a session takes the lock from all holders', () => {
    const t = new Table()
    t.hold('a', shared)
    t.hold('b', shared)
    expect(t.do({ type: 'revoke', key: 'k' }).evicted).toHaveLength(2)
  })

  test('a revoked waiter with an unconfirmed grant does not queue again', () => {
    const t = new Table()
    const a = t.hold('a')
    t.wait('b')
    t.release(a)
    t.do({ type: 'revoke', key: 'k', session: 'b' })
    expect(t.lock).toMatchObject({ holders: [], queue: [] })
  })
})

describe('repeated requests', () => {
  test('a request repeated while it waits keeps its place', () => {
    const t = new Table()
    t.hold('a')
    const request = t.wait('b')
    t.wait('c')
    expect(t.do(request).type).toBe('queued')
    expect(t.queue).toEqual(['b:2-2', 'c:3-3'])
  })

  test('a request repeated after its grant finds that grant', () => {
    const t = new Table()
    const request = t.ask('a')
    const first = t.do(request)
    const again = t.do(request)
    expect(first).toMatchObject({ type: 'granted', repeated: false })
    expect(again).toMatchObject({ type: 'granted', repeated: true, holder: { token: t.holder('a').token } })
    expect(t.holders).toEqual(['a'])
  })

  test('a shared request repeated after its grant makes no second holder', () => {
    const t = new Table()
    const request = t.ask('a', shared)
    t.do(request)
    t.do(request)
    expect(t.holders).toEqual(['a'])
  })

  test('a request repeated after another session’s command granted it stays unconfirmed', () => {
    const t = new Table()
    const a = t.hold('a')
    const request = t.wait('b')
    t.release(a)
    expect(t.do(request)).toMatchObject({ type: 'granted', repeated: true, holder: { unconfirmed: { confirm } } })
  })

  test('J2: another request of the holder itself is refused or waits like any other', () => {
    const t = new Table()
    const { token } = t.hold('a')
    expect(reasonOf(t.request('a', { ifAvailable: true }))).toBe('busy')
    expect(t.request('a').type).toBe('queued')
    expect(t.lock.holders).toMatchObject([{ session: 'a', token }])
  })

  test('J2: a request of another session of the same client is refused too', () => {
    const t = new Table()
    t.hold('a', { client: 'one' })
    expect(reasonOf(t.request('b', { client: 'one', ifAvailable: true }))).toBe('busy')
  })
})

describe('runs', () => {
  test('a thousand equal requests of one session are one entry', () => {
    const t = new Table()
    t.hold('a')
    for (let count = 0; count < 1000; count++) t.wait('b')
    expect(t.queue).toEqual(['b:2-1001'])
  })

  test('the requests of a run are granted one by one, in order', () => {
    const t = new Table()
    const a = t.hold('a')
    t.wait('b')
    t.wait('b')
    expect(t.release(a).grants).toMatchObject([{ number: 2 }])
    expect(t.release(t.holder('b'), 'b').grants).toMatchObject([{ number: 3 }])
  })

  test('a run of shared requests is granted all at once', () => {
    const t = new Table()
    const a = t.hold('a')
    for (let count = 0; count < 3; count++) t.wait('b', shared)
    expect(t.release(a).grants.map(({ number }) => number)).toEqual([2, 3, 4])
    expect(t.queue).toEqual([])
  })

  test('a request of another session in between starts a new run', () => {
    const t = new Table()
    t.hold('a')
    t.wait('b')
    t.wait('c')
    t.wait('b')
    expect(t.queue).toEqual(['b:2-2', 'c:3-3', 'b:4-4'])
  })

  test.each([
    ['mode', shared],
    ['lease', { lease: 30_000 }],
    ['metadata', { metadata: { url: 'here' } }],
    ['confirm time', { confirm: confirm + 1 }],
    ['client', { client: 'another' }],
  ])('a request with another %s starts a new run', (_, rest) => {
    const t = new Table()
    t.hold('a')
    t.wait('b')
    t.wait('b', rest)
    expect(t.queue).toEqual(['b:2-2', 'b:3-3'])
  })

  test('a lapsed request goes behind the rest of its own run', () => {
    const t = new Table()
    const a = t.hold('a')
    for (let count = 0; count < 3; count++) t.wait('b')
    t.release(a)
    t.expire(t.holder('b'))
    expect(t.holder('b').number).toBe(3)
    expect(t.queue).toEqual(['b:4-4', 'b:2-2'])
  })
})

describe('sessions', () => {
  test('a beat that opens makes a row, with its label and beacon', () => {
    const t = new Table()
    expect(t.beat('e', { opens: true, label: 'tab 5', beacon: 'here' })).toEqual({
      type: 'beaten',
      session: {
        ...{ id: 'e', client: 'client of e', seq: 1, lease, expiresAt: t.now + lease, evictions: 0, asks: 0 },
        ...{ label: 'tab 5', beacon: 'here', challenged: undefined },
      },
      stale: [],
    })
  })

  test('a beat raises seq and moves the expiry, and keeps evictions', () => {
    const t = new Table()
    t.expire(t.hold('a'))
    t.now += 1_000
    expect(t.beat('a')).toMatchObject({ session: { seq: 2, expiresAt: t.now + lease, evictions: 1 } })
  })

  test('a beat renews every hold that leans on its session, and writes no record', () => {
    const t = new Table()
    const holds = ['k', 'l'].map((key) => t.hold('a', { key }))
    const before = new Map(t.records)
    t.now += 5_000
    t.beat('a')
    expect(t.records).toEqual(before)
    for (const hold of holds) expect(expiryOf(hold, new Map([['a', t.session('a') as never]]))).toBe(t.now + lease)
  })

  test('a beat never shortens the lease of its session', () => {
    const t = new Table()
    t.beat('a', { lease: 100 })
    expect(t.session('a')?.lease).toBe(lease)
    t.beat('a', { lease: 2 * lease })
    expect(t.session('a')?.lease).toBe(2 * lease)
  })

  test('a beat of a session that has ended gets `ended`, and makes no row', () => {
    const t = new Table()
    t.end('a')
    expect(t.beat('a')).toEqual({ type: 'ended' })
    expect(t.session('a')).toBeUndefined()
  })

  test('a beat returns rows that look abandoned', () => {
    const t = new Table()
    t.now += 3 * lease
    t.run(['b', 'c', 'd'].map((session) => ({ type: 'beat', session, client: session, lease }) as const))
    expect(t.beat('b')).toMatchObject({ stale: [{ id: 'a' }] })
  })

  test('a challenge marks the row at its seq, and the next beat answers it', () => {
    const t = new Table()
    expect(t.run([{ type: 'challenge', session: 'a' }])).toEqual([{ type: 'challenged' }])
    expect(t.session('a')).toMatchObject({ seq: 1, challenged: 1 })
    t.beat('a')
    expect(t.session('a')).toMatchObject({ seq: 2, challenged: undefined })
  })

  test('a challenge of a session that has ended gets `ended`', () => {
    expect(new Table().run([{ type: 'challenge', session: 'nobody' }])).toEqual([{ type: 'ended' }])
  })

  test('a session can end itself, whatever its seq', () => {
    const t = new Table()
    expect(t.end('a')).toEqual({ type: 'ended' })
    expect(t.session('a')).toBeUndefined()
  })

  test('a session can be ended by another only on valid evidence', () => {
    const t = new Table()
    t.beat('a')
    expect(t.end('a', 1)).toEqual({ type: 'alive' })
    expect(t.session('a')).toBeDefined()
    expect(t.end('a', 2)).toEqual({ type: 'ended' })
  })

  test('L6: the holds of a session that has ended are void: the next request gets the lock at once', () => {
    const t = new Table()
    const a = t.hold('a')
    t.end('a')
    expect(t.hold('b').token).toBeGreaterThan(a.token)
    expect(t.holders).toEqual(['b'])
  })

  test('L6: a hold with its own lease is void too when its session has ended', () => {
    const t = new Table()
    t.hold('a', { lease: 60_000 })
    t.end('a')
    expect(t.hold('b').session).toBe('b')
  })

  test('L6: the requests of a session that has ended are passed over', () => {
    const t = new Table()
    const a = t.hold('a')
    t.wait('b')
    t.wait('c')
    t.end('b')
    expect(woken(t.release(a))).toEqual(['c'])
    expect(t.queue).toEqual([])
  })

  test('L6: the exclusive request of a session that has ended does not block shared ones', () => {
    const t = new Table()
    t.hold('a', shared)
    t.wait('b')
    t.end('b')
    expect(t.hold('c', shared).session).toBe('c')
    expect(t.queue).toEqual([])
  })

  test('L6: any command on the key, even a refused one, grants the lock to the next waiter when the holder’s session has ended', () => {
    const t = new Table()
    const a = t.hold('a')
    t.wait('b')
    t.end('a')
    const outcome = t.expire(a)
    expect(reasonOf(outcome)).toBe('not-held')
    expect(woken(outcome)).toEqual(['b'])
  })

  test('a session that has ended gets no lock', () => {
    const t = new Table()
    t.end('a')
    expect(reasonOf(t.request('a'))).toBe('ended')
    expect(reasonOf(t.request('a', { steal: true }))).toBe('ended')
    expect(t.record('k')).toBeUndefined()
  })

  test('a session that has ended does not find its grant or its place by repeating a request', () => {
    const t = new Table()
    const held = t.ask('a')
    t.do(held)
    const waiting = t.wait('b')
    t.end('a')
    t.end('b')
    expect(reasonOf(t.do(held))).toBe('ended')
    expect(reasonOf(t.do(waiting))).toBe('ended')
  })

  test('a session that has ended cannot renew', () => {
    const t = new Table()
    const a = t.hold('a')
    t.end('a')
    expect(reasonOf(t.renew(a))).toBe('ended')
  })
})

describe('sweep', () => {
  test('it drops the record of a key that is not held, waited for or pinned', () => {
    const t = new Table()
    t.release(t.hold('a'))
    expect(t.do({ type: 'sweep', key: 'k' }).type).toBe('done')
    expect(t.record('k')).toBeUndefined()
  })

  test.each([
    ['held', (t: Table) => t.hold('a')],
    ['pinned', (t: Table) => t.do({ type: 'pin', key: 'k', entity: 'p' })],
  ])('it is refused when the key is %s', (_, use) => {
    const t = new Table()
    use(t)
    expect(reasonOf(t.do({ type: 'sweep', key: 'k' }))).toBe('busy')
    expect(t.record('k')).toBeDefined()
  })

  test('it drops a record that only ended sessions hold or wait for', () => {
    const t = new Table()
    t.hold('a')
    t.wait('b')
    t.end('a')
    t.end('b')
    expect(t.do({ type: 'sweep', key: 'k' }).type).toBe('done')
  })

  test('tokens rise over a sweep, even if wall time steps back', () => {
    const t = new Table()
    const a = t.hold('a')
    t.release(a)
    t.do({ type: 'sweep', key: 'k' })
    t.now = 1
    expect(t.hold('a').token).toBeGreaterThan(a.token)
  })

  test('tokens rise over a sweep within one batch', () => {
    const t = new Table()
    const a = t.hold('a')
    t.now = 1
    const release = { type: 'release', key: 'k', session: 'a', token: a.token } as const
    const outcome = t.run([release, { type: 'sweep', key: 'k' }, t.ask('b')])[2]
    expect(outcome).toMatchObject({ type: 'granted', holder: { token: a.token + 1 } })
  })

  test('the floor is the highest token that was ever dropped', () => {
    const t = new Table()
    const high = t.hold('a', { key: 'high' })
    t.now = 1
    const low = t.hold('a', { key: 'low' })
    for (const { token, key } of [
      { ...high, key: 'high' },
      { ...low, key: 'low' },
    ]) {
      t.run([
        { type: 'release', key, session: 'a', token },
        { type: 'sweep', key },
      ])
    }
    expect(t.floor).toBe(high.token)
  })
})

describe('outcomes', () => {
  test('J7: a refused command returns the record that refused it, so the caller sees who holds it', () => {
    const t = new Table()
    const a = t.hold('a', { metadata: { url: 'http://a' } })
    const { record } = t.request('b', { ifAvailable: true })
    expect(record).toMatchObject({ key: 'k', token: a.token, holders: [{ session: 'a', client: 'client of a', metadata: { url: 'http://a' } }] })
  })

  test("J7: it also returns the holder's session row, which gives the hold's expiry", () => {
    const t = new Table()
    const a = t.hold('a')
    t.now += 1_000
    t.beat('a')
    const { record } = t.request('b', { ifAvailable: true })
    expect(expiryOf(a, record.sessions)).toBe(t.now + lease)
  })

  test('F5: every session can read the metadata of a request on its holder, also after a wait', () => {
    const t = new Table()
    const a = t.hold('a')
    t.wait('b', { metadata: { url: 'http://b', tags: [1, null, 'x'] } })
    expect(t.lock.queue[0]?.metadata).toEqual({ url: 'http://b', tags: [1, null, 'x'] })
    t.release(a)
    t.renew(t.holder('b'))
    expect(t.holder('b').metadata).toEqual({ url: 'http://b', tags: [1, null, 'x'] })
  })

  test('F5: metadata null is not the same as no metadata', () => {
    const t = new Table()
    t.hold('a', { ...shared, metadata: null })
    t.hold('b', shared)
    expect(t.holder('a').metadata).toBeNull()
    expect(t.holder('b').metadata).toBeUndefined()
  })
})

describe('batches', () => {
  test('a batch sees the effects of its earlier commands', () => {
    const t = new Table()
    const a = t.hold('a')
    const outcomes = t.run([t.ask('b'), { type: 'release', key: 'k', session: 'a', token: a.token }, t.ask('c')])
    expect(outcomes).toMatchObject([{ type: 'queued' }, { type: 'done', grants: [{ session: 'b' }] }, { type: 'queued' }])
  })

  test('a session opened in a batch may request in the same batch', () => {
    const t = new Table()
    const outcomes = t.run([{ type: 'beat', session: 'e', client: 'e', lease, opens: true }, t.ask('e')])
    expect(outcomes.map(({ type }) => type)).toEqual(['beaten', 'granted'])
  })

  test('a refused command does not affect the others', () => {
    const t = new Table()
    t.hold('a')
    const outcomes = t.run([t.ask('b', { ifAvailable: true }), t.ask('b', { key: 'other' })])
    expect(outcomes.map(({ type }) => type)).toEqual(['refused', 'granted'])
  })

  test('J12: a corrupt record fails its own command, naming the key, and does not affect the others', () => {
    const t = new Table()
    t.records.set('broken', 'not a record')
    const [, failed] = t.run([t.ask('a'), t.ask('a', { key: 'broken' }), t.ask('a', { key: 'other' })])
    expect(failed).toMatchObject({ type: 'failed', code: 'corrupt', message: expect.stringContaining('"broken"') })
    expect(t.holders).toEqual(['a'])
    expect(t.record('other')?.holders).toHaveLength(1)
  })

  test.each([
    { type: 'request', session: 'a', client: 'a', number: 1, mode: 'exclusive', confirm, steal: true },
    { type: 'revoke' },
    { type: 'sweep' },
    { type: 'pin', entity: 'p' },
  ] as const)('J12: a corrupt record is not overwritten by $type', (command) => {
    const t = new Table()
    t.records.set('k', '[1,"x"]')
    expect(t.run([{ ...command, key: 'k' }])).toMatchObject([{ type: 'failed', code: 'corrupt' }])
    expect(t.records.get('k')).toBe('[1,"x"]')
  })

  test('J12: a corrupt session row fails the commands that need it, and is not overwritten', () => {
    const t = new Table()
    t.hold('b')
    t.sessions.set('a', '[]')
    const outcomes = t.run([{ type: 'beat', session: 'a', client: 'a', lease }, t.ask('a'), t.ask('c')])
    expect(outcomes.map(({ type }) => type)).toEqual(['failed', 'failed', 'queued'])
    expect(outcomes[0]).toMatchObject({ code: 'corrupt', message: expect.stringContaining('session a') })
    expect(t.sessions.get('a')).toBe('[]')
  })

  test('a command that changes nothing writes nothing', () => {
    const t = new Table()
    const unheld = { type: 'release', key: 'k', session: 'a', token: 5 } as const
    t.run([unheld])
    expect(t.records.size).toBe(0)
  })

  test('an error that does not come from the store is thrown, not returned as an outcome', () => {
    const t = new Table()
    t.session = () => {
      throw new TypeError('a bug')
    }
    expect(() => t.run([t.ask('a')])).toThrow('a bug')
  })
})

describe('the reason for which a hold was taken', () => {
  test('is in the record: stolen, revoked or expired, also after other sessions have held the lock', () => {
    const t = new Table()
    const [first, second] = [t.hold('a', shared), t.hold('b', shared)]
    const third = t.hold('c', { steal: true })
    t.do({ type: 'revoke', key: 'k' })
    const fourth = t.hold('d')
    t.expire(fourth)
    t.release(t.hold('a'))
    expect([first, second, third, fourth].map(({ token }) => evictionOf(t.lock, token))).toEqual(['stolen', 'stolen', 'revoked', 'expired'])
  })

  test('is not in the record for a hold that was released, or whose session ended', () => {
    const t = new Table()
    const first = t.hold('a')
    t.release(first)
    const second = t.hold('a')
    t.end('a')
    t.hold('b')
    expect([first, second].map(({ token }) => evictionOf(t.lock, token))).toEqual([undefined, undefined])
    expect(lossOf(t.lock, second.token)).toBe('ended')
  })

  test('is kept only for the last eight evictions, so that the record does not grow', () => {
    const t = new Table()
    const thieves = Array.from({ length: 20 }, () => t.hold('a', { steal: true }))
    expect(t.lock.evictions).toHaveLength(8)
    expect(thieves.map(({ token }) => evictionOf(t.lock, token)).filter(Boolean)).toHaveLength(8)
  })
})

describe('a command that needs its session', () => {
  test.each(['release', 'renew'] as const)('is refused once the session has ended, and the hold is void: %s', (type) => {
    const t = new Table()
    const { token } = t.hold('a')
    t.wait('b')
    t.end('a')
    const outcome = t.do({ type, key: 'k', session: 'a', token, standing: true })
    expect(outcome).toMatchObject({ type: 'refused', reason: 'ended', grants: [{ session: 'b' }] })
  })

  test('leaves a pinned hold of a session that has ended, which only an unpin frees', () => {
    const t = new Table()
    const { token } = t.hold('a')
    t.do({ type: 'pin', key: 'k', entity: 'p' })
    t.end('a')
    expect(t.do({ type: 'release', key: 'k', session: 'a', token, standing: true })).toMatchObject({ type: 'refused', reason: 'ended' })
    expect(t.holders).toEqual(['a'])
  })

  test('is carried out while the session exists', () => {
    const t = new Table()
    const { token } = t.hold('a')
    expect(t.do({ type: 'release', key: 'k', session: 'a', token, standing: true }).type).toBe('done')
  })
})

describe('the release request of a lock request that has left the queue', () => {
  const ask = { please: 'let go' }

  test.each<[string, (t: Table, number: number) => void]>([
    ['is withdrawn', (t, number) => t.do({ type: 'withdraw', key: 'k', session: 'b', number })],
    ['is dropped on evidence', (t, number) => t.do({ type: 'expire', key: 'k', evidence: { session: 'b', number, seq: t.session('b')?.seq } })],
    [
      'is dropped since its session has ended',
      (t) => {
        t.end('b')
        t.request('c', { ifAvailable: true })
      },
    ],
  ])('stays in the record for the holders if the lock request %s', (_, leave) => {
    const t = new Table()
    const held = t.hold('a')
    const { number } = t.wait('b', { ask, metadata: 5 })
    leave(t, number)
    expect(t.queue).toEqual([])
    expect(t.lock.asked).toMatchObject([
      { session: 'b', client: 'client of b', mode: 'exclusive', from: number, to: number, ask, metadata: 5, label: undefined, token: held.token },
    ])
  })

  test('carries the label of its session, since that session may end', () => {
    const t = new Table()
    t.hold('a')
    t.beat('b', { label: 'tab 2' })
    const { number } = t.wait('b', { ask })
    t.do({ type: 'withdraw', key: 'k', session: 'b', number })
    t.end('b')
    expect(t.lock.asked).toMatchObject([{ from: number, label: 'tab 2' }])
  })

  test('is kept for each of several like requests', () => {
    const t = new Table()
    t.hold('a')
    const numbers = [1, 2, 3].map(() => t.wait('b', { ask }).number)
    for (const number of numbers) t.do({ type: 'withdraw', key: 'k', session: 'b', number })
    expect(t.lock.asked?.map(({ from }) => from)).toEqual(numbers.reverse())
  })

  test('is dropped with the holders that it asked, and does not apply to later holders', () => {
    const t = new Table()
    const [first, second] = [t.hold('a', shared), t.hold('c', shared)]
    const { number } = t.wait('b', { ask })
    t.do({ type: 'withdraw', key: 'k', session: 'b', number })
    const later = t.hold('d', shared)
    expect(t.lock.asked?.[0]?.token).toBe(second.token)
    expect(later.token).toBeGreaterThan(second.token)
    t.release(first)
    expect(t.lock.asked).toHaveLength(1)
    t.release(second)
    expect([t.holders, t.lock.asked]).toEqual([['d'], undefined])
  })

  test('is kept only for the last eight requests, so that the record does not grow', () => {
    const t = new Table()
    t.hold('a')
    const numbers = Array.from({ length: 20 }, () => {
      const { number } = t.wait('b', { ask })
      t.do({ type: 'withdraw', key: 'k', session: 'b', number })
      return number
    })
    expect(t.lock.asked?.map(({ from }) => from)).toEqual(numbers.reverse().slice(0, 8))
  })

  test('is kept for fewer requests if it is long, and for only one if it is very long', () => {
    const t = new Table()
    t.hold('a')
    const leave = (length: number): number => {
      const { number } = t.wait('b', { ask: 'x'.repeat(length) })
      t.do({ type: 'withdraw', key: 'k', session: 'b', number })
      return number
    }
    const numbers = [1, 2, 3, 4].map(() => leave(5_000))
    expect(t.lock.asked?.map(({ from }) => from)).toEqual(numbers.reverse().slice(0, 3))
    const long = leave(60_000)
    expect(t.lock.asked?.map(({ from }) => from)).toEqual([long])
  })

  test('does not stay if there was none, if its lock request was granted, or if the lock is free', () => {
    const t = new Table()
    const held = t.hold('a')
    const plain = t.wait('b')
    t.do({ type: 'withdraw', key: 'k', session: 'b', number: plain.number })
    const { number } = t.wait('b', { ask })
    t.release(held)
    t.do({ type: 'withdraw', key: 'k', session: 'b', number })
    expect([t.holders, t.lock.asked]).toEqual([[], undefined])
  })
})
