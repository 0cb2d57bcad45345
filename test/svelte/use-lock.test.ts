import type { AcquireOptions } from 'storelock'
import { type LockState, type UseLockOptions, useLeader, useLock } from 'storelock/svelte'
import { get, type Readable } from 'svelte/store'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Process, settle, World } from '../locks/world.ts'
import { renderOnServer } from './server.ts'

let world: World
let a: Process
let b: Process
const ends: (() => void)[] = []

beforeEach(() => {
  // Without a document, useLock takes the process for a server.
  vi.stubGlobal('document', {})
  world = new World()
  a = world.process({ label: 'a' })
  b = world.process({ label: 'b' })
})

afterEach(async () => {
  for (const end of ends.splice(0)) end()
  await settle()
  vi.unstubAllGlobals()
})

/** Subscribes like a component. */
function subscribe<T>(store: Readable<T>): { readonly shown: T[]; readonly now: T; end(): Promise<void> } {
  const shown: T[] = []
  const end = store.subscribe((value) => void shown.push(value))
  ends.push(end)
  return {
    shown,
    get now() {
      return shown.at(-1) as T
    },
    async end() {
      end()
      await settle()
    },
  }
}

async function makePanel(options: UseLockOptions = {}, name = 'k') {
  const panel = subscribe(useLock(name, options, a.locks))
  await settle()
  return panel
}

/** The states that were shown, without repetitions. */
const states = (shown: readonly LockState[]): string[] => shown.map(({ state }) => state).filter((state, index, all) => state !== all[index - 1])

const take = (name = 'k', options?: AcquireOptions) => b.locks.acquire(name, options)

describe('useLock', () => {
  test('waits, then holds, and shows the lock with its token and signal', async () => {
    const panel = await makePanel()
    expect(states(panel.shown)).toEqual(['waiting', 'held'])
    const { lock, token, signal, error } = panel.now
    expect(lock?.isHeld()).toBe(true)
    expect([lock?.name, token, signal, error]).toEqual(['k', lock?.token, lock?.signal, undefined])
  })

  test('waits behind another tab until that tab releases', async () => {
    const lock = await take()
    const panel = await makePanel()
    expect(panel.now).toMatchObject({ state: 'waiting', lock: undefined, token: undefined, signal: undefined })
    await lock.release()
    await settle()
    expect(states(panel.shown)).toEqual(['waiting', 'held'])
  })

  test('requests nothing before there is a subscriber, or for a single read with `get`', async () => {
    const store = useLock('k', {}, a.locks)
    expect(get(store).state).toBe('waiting')
    await settle()
    expect(a.link.sent).toEqual([])
  })

  test('holds one lock for all its subscribers, until the last one leaves', async () => {
    const store = useLock('k', {}, a.locks)
    const [one, two] = [subscribe(store), subscribe(store)]
    await settle()
    expect([one.now.state, two.now.state, a.link.count('request')]).toEqual(['held', 'held', 1])
    await one.end()
    expect(two.now.lock?.isHeld()).toBe(true)
    await two.end()
    expect(await world.holders()).toEqual([])
  })

  test('holds again for a later subscriber', async () => {
    const store = useLock('k', {}, a.locks)
    await subscribe(store).end()
    const later = subscribe(store)
    await settle()
    expect(states(later.shown)).toEqual(['waiting', 'held'])
  })
})

describe('a subscriber that leaves', () => {
  test('withdraws its wait, and leaves no trace', async () => {
    const lock = await take()
    const panel = await makePanel()
    await panel.end()
    expect(await world.queue()).toEqual([])
    await lock.release()
    await settle()
    expect(await world.holders()).toEqual([])
  })

  test('and comes back at once makes one request', async () => {
    const store = useLock('k', {}, a.locks)
    subscribe(store).end()
    const panel = subscribe(store)
    await settle()
    expect([panel.now.state, a.link.count('request')]).toEqual(['held', 1])
  })
})

describe('a loss', () => {
  test('is shown with its error, and `retry` requests the lock again', async () => {
    const panel = await makePanel()
    const thief = await take('k', { steal: true })
    await settle()
    expect(panel.now).toMatchObject({ state: 'lost', error: { code: 'lost' }, lock: undefined, token: undefined, signal: undefined })
    panel.now.retry()
    await settle()
    expect(panel.now.state).toBe('waiting')
    await thief.release()
    await settle()
    expect(panel.now.state).toBe('held')
  })

  test('is followed by another wait if `again` is set', async () => {
    const panel = await makePanel({ again: true })
    await take('k', { steal: true })
    await settle()
    expect(states(panel.shown)).toEqual(['waiting', 'held', 'waiting'])
  })
})

test('an error of the store is shown, and `retry` requests the lock again', async () => {
  a.link.break('fail')
  const panel = await makePanel()
  expect(panel.now).toMatchObject({ state: 'error', error: { code: 'store' }, lock: undefined })
  a.link.mend()
  panel.now.retry()
  await settle()
  expect(states(panel.shown)).toEqual(['waiting', 'error', 'waiting', 'held'])
})

test('a release request reaches the holder’s callback', async () => {
  const heard = vi.fn()
  await makePanel({ onReleaseRequested: (ask, who) => heard(ask, who.label) })
  take('k', { ask: 'please' }).catch(() => {})
  await settle()
  expect(heard.mock.calls).toEqual([['please', 'b']])
})

test('useLeader is true in one candidate, and the next one takes over, also after a loss', async () => {
  const [one, two] = [subscribe(useLeader('leader', {}, a.locks)), subscribe(useLeader('leader', undefined, b.locks))]
  await settle()
  expect([one.now, two.now]).toEqual([true, false])
  await b.locks.revoke('leader')
  await settle()
  expect([one.now, two.now]).toEqual([false, true])
  await two.end()
  expect(one.now).toBe(true)
})

describe('a server', () => {
  beforeEach(() => {
    vi.unstubAllGlobals()
  })

  test.each([
    ['Svelte 5', 'svelte', 'svelte'],
    ['Svelte 4', 'svelte-4', 'svelte-4'],
  ] as const)('that renders with %s shows the waiting state, and requests nothing', async (_, version, folder) => {
    expect(await renderOnServer(version, folder, a.locks, { name: 'k', options: {} })).toContain('data-state="waiting"')
    await settle()
    expect(a.link.sent).toEqual([])
  })

  test('requests nothing for subscribers either', async () => {
    const panel = await makePanel()
    expect([panel.now.state, a.link.sent]).toEqual(['waiting', []])
  })

  test('says what is missing if no locks are provided', async () => {
    await expect(renderOnServer('svelte', 'svelte', undefined as never, { name: 'k', options: {} })).rejects.toThrow('setLocks')
  })
})
