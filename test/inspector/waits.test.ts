import { describe, expect, test } from 'vitest'
import { createLocks } from '../../src/index.ts'
import { cycleInWords, cyclesIn, idOf } from '../../src/inspector/waits.ts'
import { memoryStore } from '../../src/stores/memory.ts'

type Kind = { readonly mode?: 'shared'; readonly limit?: number }

/** `a:x` stands for session `a` holding or waiting for lock `x`. */
const parties = (words: string, { mode = 'exclusive', limit }: { readonly mode?: 'exclusive' | 'shared'; readonly limit?: number } = {}) =>
  words
    .split(' ')
    .filter(Boolean)
    .map((word) => {
      const [session = '', name = ''] = word.split(':')
      return { session, name, mode, limit }
    })

/** Each cycle as `a -x-> b -y-> a`. */
const cycles = (held: string, pending: string, kind?: Kind): string[] =>
  cyclesIn({ held: parties(held, kind), pending: parties(pending, kind) }).map(
    (cycle) => `${cycle.map(({ session, name }) => `${session} -${name}->`).join(' ')} ${cycle.at(-1)?.on}`,
  )

describe('the waits-for graph has', () => {
  test('no cycle if no session waits, or the waiters hold nothing', () => {
    expect(cycles('a:x b:y', '')).toEqual([])
    expect(cycles('a:x', 'b:x c:x')).toEqual([])
  })

  test('no cycle in a chain', () => {
    expect(cycles('a:x b:y c:z', 'a:y b:z')).toEqual([])
  })

  test('a cycle of one session that waits for its own lock', () => {
    expect(cycles('a:x', 'a:x')).toEqual(['a -x-> a'])
  })

  test('a cycle of two sessions that hold one lock each and wait for the other’s', () => {
    expect(cycles('a:x b:y', 'a:y b:x')).toEqual(['a -y-> b -x-> a'])
  })

  test('a cycle of three, once', () => {
    expect(cycles('a:x b:y c:z', 'a:y b:z c:x')).toEqual(['a -y-> b -z-> c -x-> a'])
  })

  test('each of two separate cycles', () => {
    expect(cycles('a:x b:y c:u d:v', 'a:y b:x c:v d:u')).toEqual(['a -y-> b -x-> a', 'c -v-> d -u-> c'])
  })

  test('the short cycles and not the long one around them', () => {
    expect(cycles('a:x b:y c:z', 'a:y b:x a:z c:x')).toEqual(['a -y-> b -x-> a', 'c -x-> a -z-> c'])
  })

  test('no cycle with sessions that only wait behind it in a queue', () => {
    expect(cycles('a:x b:y', 'a:y b:x c:x d:y')).toEqual(['a -y-> b -x-> a'])
  })

  test('a cycle through a shared lock if any one of its holders is in it', () => {
    expect(cycles('a:x c:x b:y', 'b:x a:y', { mode: 'shared' })).toEqual(['a -y-> b -x-> a'])
  })

  test('a cycle through a lock with a limit only if all its holders are in it, since one free place is enough', () => {
    expect(cycles('a:x b:x', 'a:x', { limit: 2 })).toEqual([])
    expect(cycles('a:x a:x', 'a:x', { limit: 2 })).toEqual(['a -x-> a'])
    expect(cycles('a:x b:x', 'a:x b:x', { limit: 2 })).toEqual(['a -x-> a', 'b -x-> b'])
  })

  test('a cycle of five hundred, once', () => {
    const ring = Array.from({ length: 500 }, (_, index) => index)
    const found = cyclesIn({
      held: parties(ring.map((index) => `s${index}:l${index}`).join(' ')),
      pending: parties(ring.map((index) => `s${index}:l${(index + 1) % 500}`).join(' ')),
    })
    expect(found.map((cycle) => cycle.length)).toEqual([500])
  })

  test('room for a thousand waiters without getting slow', () => {
    const many = Array.from({ length: 1_000 }, (_, index) => `w${index}:x`).join(' ')
    expect(cycles('a:x b:y', `a:y b:x ${many}`)).toEqual(['a -y-> b -x-> a'])
  })
})

test('a cycle has the same id wherever it begins', () => {
  const [a, b] = [
    { session: 'a', name: 'y', on: 'b' },
    { session: 'b', name: 'x', on: 'a' },
  ]
  expect(idOf([a, b])).toBe(idOf([b, a]))
})

test('a cycle can be described in words', () => {
  const nameOf = (session: string): string => `tab ${session}`
  expect(cycleInWords([{ session: '1', name: 'x', on: '1' }], nameOf)).toBe('tab 1 waits for "x", which it holds itself')
  const both = [
    { session: '1', name: 'b', on: '2' },
    { session: '2', name: 'a', on: '1' },
  ]
  expect(cycleInWords(both, nameOf)).toBe('tab 1 waits for "b", which tab 2 holds; tab 2 waits for "a", which tab 1 holds')
})

test('two sessions that take two locks in opposite orders are a cycle in the result of `query`, until one of them releases', async () => {
  const store = memoryStore()
  const [one, two] = [createLocks({ store }), createLocks({ store })]
  const [a] = [await one.acquire('a'), await two.acquire('b')]
  const waits = [one.acquire('b'), two.acquire('a')].map((wait) => wait.catch(() => {}))
  const [cycle, ...others] = cyclesIn(await one.query())
  expect(others).toEqual([])
  expect(new Map(cycle?.map(({ session, name, on }) => [session, [name, on]]))).toEqual(
    new Map([
      [one.session, ['b', two.session]],
      [two.session, ['a', one.session]],
    ]),
  )
  await a.release()
  expect(cyclesIn(await one.query())).toEqual([])
  await Promise.all([one.close(), two.close()])
  await Promise.all(waits)
})
