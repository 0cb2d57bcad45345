import { describe, expect, test } from 'vitest'
import { checkDuration, checkName, LockError, maxDuration, minDuration, type Policy, storeError } from '../../src/protocol/index.ts'

const thrown = (call: () => unknown): unknown => {
  try {
    return call()
  } catch (error) {
    return error
  }
}

describe('durations', () => {
  test.each([minDuration, 100.5, 10_000, maxDuration])('%d ms is allowed without a policy', (duration) => {
    expect(() => checkDuration({}, duration)).not.toThrow()
  })

  test.each([Number.NaN, 0, -1, minDuration - 1, maxDuration + 1, Number.POSITIVE_INFINITY, '5000', undefined, null])(
    'F3: %s is not a valid duration',
    (duration) => {
      expect(() => checkDuration({}, duration as number)).toThrow(RangeError)
    },
  )

  const juju: Policy = { minDuration: 5_000, maxDuration: 300_000 }

  test.each([5_000, 300_000])('J1: %d ms is within the policy', (duration) => {
    expect(() => checkDuration(juju, duration)).not.toThrow()
  })

  test.each([4_999, 300_001])('F3: %d ms is refused by the policy, not clamped', (duration) => {
    expect(thrown(() => checkDuration(juju, duration))).toMatchObject({ code: 'invalid', message: expect.stringContaining(String(duration)) })
  })

  test('J1: a policy cannot widen the limits of all locks', () => {
    const wide: Policy = { minDuration: 1, maxDuration: Number.POSITIVE_INFINITY }
    expect(() => checkDuration(wide, 50)).toThrow(RangeError)
    expect(() => checkDuration(wide, maxDuration + 1)).toThrow(RangeError)
  })
})

describe('names', () => {
  const policy: Policy = {
    checkKey: (name) => (name.startsWith('app-') ? undefined : 'names start with app-'),
    checkHolder: (label) => (label ? undefined : 'holders have labels'),
  }

  test('J1: names and durations that a policy allows are accepted', () => {
    expect(() => checkName(policy, 'app-one', 'me')).not.toThrow()
    expect(() => checkName({}, 'anything', undefined)).not.toThrow()
  })

  test("J1: a name that the policy refuses is invalid, with the policy's reason", () => {
    expect(thrown(() => checkName(policy, 'one', 'me'))).toMatchObject({ code: 'invalid', message: expect.stringContaining('names start with app-') })
  })

  test("J1: a holder that the policy refuses is invalid, with the policy's reason", () => {
    expect(thrown(() => checkName(policy, 'app-one', undefined))).toMatchObject({
      code: 'invalid',
      message: expect.stringContaining('holders have labels'),
    })
  })
})

describe('errors', () => {
  test('an error has a name, a code and the holders of the lock', () => {
    const error = new LockError('held', 'busy', { holders: [], cause: 5 })
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({ name: 'LockError', code: 'held', message: 'busy', holders: [], cause: 5 })
  })

  test("an engine's error becomes the cause of a store error", () => {
    const cause = new Error('disk full')
    expect(storeError(cause, 'writing')).toMatchObject({ code: 'store', message: 'writing: disk full', cause })
    expect(storeError('odd', 'reading').message).toBe('reading: odd')
  })

  test('a LockError is not wrapped', () => {
    const error = new LockError('closed', 'the store is closed')
    expect(storeError(error, 'writing')).toBe(error)
  })
})
