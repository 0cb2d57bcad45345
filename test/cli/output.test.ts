import { describe, expect, it } from 'vitest'
import { inWords } from '../../src/cli/output.ts'
import { fitted } from '../../src/cli/screen.ts'
import { type LockState, rowsOf, stateOf, waiting } from '../../src/cli/state.ts'
import { createLocks } from '../../src/index.ts'
import { changesBetween } from '../../src/inspector/changes.ts'
import { memoryStore } from '../../src/stores/memory.ts'

it.each([
  [0, '0s'],
  [250, '0.3s'],
  [1_000, '1s'],
  [65_000, '1m 5s'],
  [3_600_000, '1h'],
  [90_000_000, '1d 1h'],
])('%d ms in words are %s', (ms, words) => {
  expect(inWords(ms)).toBe(words)
})

describe('the output for a lock', () => {
  it('shows its holder, its waiters with their release requests, and its pins', async () => {
    const store = memoryStore()
    const locks = createLocks({ store, label: 'the holder', namespace: 'team' })
    const lock = await locks.acquire('job', { metadata: { port: 7 } })
    const stop = new AbortController()
    const waits = [1, 2].map(() => locks.acquire('job', { signal: stop.signal, ask: 'soon' }).catch(() => {}))
    await locks.pin('job', 'ticket 7')
    const [view] = await store.list()
    const state = stateOf(view as NonNullable<typeof view>)
    expect(state).toMatchObject({
      key: '@team/job',
      name: 'job',
      namespace: 'team',
      token: lock.token,
      holders: [{ label: 'the holder', session: locks.session, mode: 'exclusive', token: lock.token, metadata: { port: 7 }, overdue: false }],
      queue: [{ ask: 'soon', count: 2 }],
      pins: ['ticket 7'],
    })
    expect(waiting(state)).toBe(2)
    const later = (view?.holders[0]?.since ?? 0) + 61_000
    expect(rowsOf(stateOf(view as NonNullable<typeof view>, later), later)[0]).toEqual([
      '@team/job',
      'the holder',
      'exclusive',
      '1m 1s',
      'overdue',
      '2',
      'ticket 7',
    ])
    stop.abort()
    await Promise.all(waits)
    await locks.close()
  })

  it('shows that holders with a limit have one place of several', async () => {
    const store = memoryStore()
    const locks = createLocks({ store })
    for (const name of ['job', 'job']) await locks.acquire(name, { limit: 3 })
    const [view] = await store.list()
    const state = stateOf(view as NonNullable<typeof view>)
    expect(state.holders.map(({ limit }) => limit)).toEqual([3, 3])
    expect(rowsOf(state).map(([key, , mode]) => [key, mode])).toEqual([
      ['job', 'one of 3'],
      ['', 'one of 3'],
    ])
    await locks.close()
  })

  it('does not show ended sessions that the record still names', async () => {
    const store = memoryStore()
    const locks = createLocks({ store })
    await locks.acquire('job')
    await store.apply([{ type: 'end', session: locks.session }])
    const [view] = await store.list()
    expect(view?.holders).toHaveLength(1)
    expect(stateOf(view as NonNullable<typeof view>).holders).toEqual([])
    await locks.close()
  })
})

describe('the events between two looks', () => {
  const at = 7
  const party = (session: string) => ({ session, label: null, mode: 'exclusive', limit: null, metadata: null }) as const
  const holder = (session: string, token: number) => ({ ...party(session), token, since: token, renewed: 0, expires: 0, overdue: false })
  const lock = (parts: Partial<LockState>): ReadonlyMap<string, LockState> =>
    new Map([['job', { key: 'job', name: 'job', namespace: '', token: 1, holders: [], queue: [], pins: [], ...parts }]])
  const told = (before: ReadonlyMap<string, LockState>, after: ReadonlyMap<string, LockState>) =>
    changesBetween(before, after, at).map(({ event, who }) => `${event}: ${who}`)

  it('show that the lock passed from one session to another', () => {
    const before = lock({ holders: [holder('a', 1)], queue: [{ ...party('b'), ask: null, count: 1 }] })
    expect(told(before, lock({ holders: [holder('b', 2)] }))).toEqual(['released: session a', 'held: session b'])
  })

  it('show that the same session released the lock and took it again', () => {
    expect(told(lock({ holders: [holder('a', 1)] }), lock({ holders: [holder('a', 2)] }))).toEqual(['released: session a', 'held: session a'])
  })

  it('show that a waiter gave up', () => {
    const before = lock({ holders: [holder('a', 1)], queue: [{ ...party('b'), ask: null, count: 1 }] })
    expect(told(before, lock({ holders: [holder('a', 1)] }))).toEqual(['stopped waiting: session b'])
  })

  it('show each pin', () => {
    expect(told(lock({ pins: ['x'] }), lock({ pins: ['y'] }))).toEqual(['unpinned: x', 'pinned: y'])
  })

  it('do not include a renewal', () => {
    expect(told(lock({ holders: [holder('a', 1)] }), lock({ holders: [{ ...holder('a', 1), expires: 9 }] }))).toEqual([])
  })

  it('show that every holder is gone when the record was dropped', () => {
    expect(told(lock({ holders: [holder('a', 1)] }), new Map())).toEqual(['released: session a'])
  })
})

describe('the output that fits on a screen', () => {
  const table = ['head', 'a', 'b']

  it.each([
    [0, ['head', 'a', 'b', '', '1', '2']],
    [7, ['head', 'a', 'b', '', '1', '2']],
    [6, ['head', 'a', 'b', '', '2']],
    [5, ['head', 'a', 'b']],
    [4, ['head', 'a', 'b']],
    [3, ['head', 'and 2 lines more']],
  ])('of %d lines is the table, then the newest events', (rows, shown) => {
    expect(fitted(table, ['1', '2'], { rows, columns: 80 })).toEqual(shown)
  })

  it('is as wide as the screen, not counting colour codes', () => {
    const red = (text: string) => `\u001b[31m${text}\u001b[39m`
    expect(fitted([red('12345'), red('123456')], [], { rows: 9, columns: 5 })).toEqual([red('12345'), '1234…', ''])
  })
})
