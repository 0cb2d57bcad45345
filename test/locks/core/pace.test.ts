import { describe, expect, test } from 'vitest'
import { Outage } from '../../../src/locks/core/outage.ts'
import { Pace } from '../../../src/locks/core/pace.ts'
import { LockError } from '../../../src/protocol/index.ts'

/** In the middle of its random share. */
const middle = 0.5

describe('the pause before a waiter looks again', () => {
  test('doubles while nothing changes, and is short again when the lock changed hands', () => {
    const pace = new Pace()
    const pauses = () => [1, 2, 3].map(() => pace.next(1, middle))
    expect(pauses()).toEqual([10, 20, 40])
    pace.restart(100, 1)
    expect(pauses()).toEqual([10, 20, 40])
  })

  test('is a quarter shorter or longer by chance', () => {
    expect([0, 1].map((chance) => new Pace().next(1, chance))).toEqual([7.5, 12.5])
  })

  test('lasts until half of the places in front have probably been served', () => {
    const pace = new Pace()
    pace.restart(0, 102)
    pace.restart(1_000, 92)
    // 100 ms for each of the 90 places that are not near, halved.
    expect(pace.next(92, middle)).toBe(5 * 93 + (100 * 90) / 2)
  })

  test('does not depend on what an earlier wait has seen', () => {
    const pace = new Pace()
    pace.restart(0, 20)
    pace.restart(1_000, 10)
    pace.next(10, middle)
    pace.begin()
    expect(pace.next(10, middle)).toBe(55)
  })
})

describe('a store that fails', () => {
  const failed = new LockError('store', 'the disk is gone')
  const slow = new LockError('store', 'no answer', { cause: new DOMException('late', 'TimeoutError') })

  test('is borne for a lease since it first failed', () => {
    const outage = new Outage()
    expect([0, 999, 1_000].map((now) => outage.bears(failed, 1_000, now))).toEqual([true, true, false])
  })

  test('is borne anew after an answer', () => {
    const outage = new Outage()
    outage.bears(failed, 1_000, 0)
    outage.end()
    expect(outage.bears(failed, 1_000, 5_000)).toBe(true)
  })

  test('has failed since the call that failed began', () => {
    expect(new Outage().bears(failed, 1_000, 1_500, 400)).toBe(false)
  })

  test('is borne for two minutes, or a longer lease, if it is only slow', () => {
    const [outage, long] = [new Outage(), new Outage()]
    expect([0, 119_999, 120_000].map((now) => outage.bears(slow, 1_000, now))).toEqual([true, true, false])
    expect([0, 299_999, 300_000].map((now) => long.bears(slow, 300_000, now))).toEqual([true, true, false])
  })

  test('is not borne if its failure is final', () => {
    expect(new Outage().bears(new LockError('corrupt', 'the record cannot be read'), 1_000, 0)).toBe(false)
  })
})
