import type { HeldLock } from 'storelock'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Window } from './window.ts'
import { beat, duration, lease, settle, stateOf, World } from './world.ts'

/** The global object, which the tests turn into that of a page: `page` is its window, which dispatches the page's events. */
const scope = globalThis as { document?: unknown; addEventListener?: unknown }
let page: Window

beforeEach(() => {
  page = new Window()
  scope.document = page.document
  scope.addEventListener = page.addEventListener.bind(page)
})

afterEach(() => {
  delete scope.document
  delete scope.addEventListener
})

const leave = (): void => page.tell('pagehide')
const comeBack = (): void => page.tell('pageshow')
const freeze = (): void => page.tell('freeze')
const resume = (): void => page.tell('resume')

describe('leaving a page', () => {
  test('ends its session at once, before the event is over', async () => {
    const world = new World()
    const a = world.process({ label: 'a' })
    const lock = await a.locks.acquire('k')
    const id = a.locks.session
    leave()
    expect(a.link.sent.at(-1)).toEqual({ type: 'end', session: id })
    expect([lock.isHeld(), lock.signal.reason.code]).toEqual([false, 'lost'])
    await settle()
    expect((await world.process().locks.query('k')).held).toEqual([])
  })

  test('hands its locks to the waiters of other contexts', async () => {
    const world = new World()
    const a = world.process()
    await a.locks.acquire('k')
    delete scope.document
    const wait = world.process().locks.acquire('k')
    await settle()
    leave()
    expect(await stateOf(wait)).toBe('fulfilled')
  })

  test('gives up its place in the queue, and requests again when the page is shown', async () => {
    const world = new World()
    const b = world.process({ label: 'b' })
    delete scope.document
    const a = world.process({ label: 'a' })
    const lock = await a.locks.acquire('k')
    const wait = b.locks.acquire('k')
    await settle()
    leave()
    await settle()
    expect((await a.locks.query('k')).pending).toEqual([])
    await world.pass(5 * lease)
    expect((await a.locks.query('k')).pending).toEqual([])
    comeBack()
    await settle()
    expect((await a.locks.query('k')).pending).toMatchObject([{ label: 'b' }])
    await lock.release()
    expect((await wait).isHeld()).toBe(true)
  })

  test('closes the channel, and sends nothing while the page is away', async () => {
    const world = new World()
    const a = world.process()
    const listeners = new Set<string>()
    const channel = a.link.channel
    if (!channel) throw new Error('it has a channel')
    const { subscribe } = channel
    channel.subscribe = (topic, listener) => {
      listeners.add(topic)
      const stop = subscribe(topic, listener)
      return () => {
        listeners.delete(topic)
        stop()
      }
    }
    await a.locks.acquire('k')
    expect(listeners.size).toBe(1)
    leave()
    await settle()
    const sent = a.link.sent.length
    await world.pass(10 * lease)
    expect([listeners.size, a.link.sent.length]).toEqual([0, sent])
  })

  test('sends only the end of its session, since the page may be frozen before a second command', async () => {
    const world = new World()
    const b = world.process({ label: 'b' })
    delete scope.document
    await world.process().locks.acquire('k')
    await b.locks.acquire('other')
    b.locks.acquire('k').catch(() => {})
    await settle()
    const { length } = b.link.sent
    const session = b.locks.session
    leave()
    freeze()
    await settle()
    expect(b.link.sent.slice(length)).toEqual([{ type: 'end', session }])
  })

  test('during a look does not start to watch a beacon when the look is answered', async () => {
    const world = new World()
    const b = world.process({ label: 'b' })
    delete scope.document
    await world.process().locks.acquire('k')
    b.locks.acquire('k').catch(() => {})
    await settle()
    b.link.break('mute', 'read')
    await world.pass(1_000)
    leave()
    const { length } = b.link.watched
    await b.link.deliver()
    expect(b.link.watched).toHaveLength(length)
  })

  test('during `whenFree` stops watching the holder’s beacon, until the page is shown again', async () => {
    const world = new World()
    const b = world.process({ label: 'b' })
    delete scope.document
    const a = world.process()
    await a.locks.acquire('k')
    await b.locks.acquire('other')
    const free = b.locks.whenFree('k')
    await settle()
    expect(b.link.watching).toBe(1)
    leave()
    expect(b.link.watching).toBe(0)
    await world.pass(5 * lease)
    expect(b.link.watching).toBe(0)
    comeBack()
    await settle()
    expect(b.link.watching).toBe(1)
    a.link.putOut()
    await settle()
    expect(await stateOf(free)).toBe('fulfilled')
  })

  test('during `whenFree` with a look that is answered while the page is away still notices the release later', async () => {
    const world = new World()
    const b = world.process()
    delete scope.document
    const a = world.process()
    const held = await a.locks.acquire('k')
    await b.locks.acquire('other')
    b.link.break('mute', 'read')
    const free = b.locks.whenFree('k')
    await settle()
    leave()
    b.link.mend()
    await b.link.deliver()
    comeBack()
    // By now the pauses between looks are long.
    await world.pass(5 * lease)
    await held.release()
    await settle()
    expect(await stateOf(free)).toBe('fulfilled')
  })

  test('during a request opens no session while the page is away', async () => {
    const world = new World()
    const a = world.process()
    await a.locks.acquire('other')
    a.link.break('mute', 'request')
    const asked = a.locks.acquire('k')
    await settle()
    a.link.mend()
    leave()
    await a.link.deliver()
    const beats = a.link.count('beat')
    await world.pass(lease)
    expect([a.link.count('beat'), await stateOf(asked)]).toEqual([beats, 'pending'])
    comeBack()
    await world.pass(10)
    expect((await asked).isHeld()).toBe(true)
  })

  test.each(['k', 'other'])('that requests %s during the event opens no session, and gets the lock when it is shown', async (key) => {
    const world = new World()
    const a = world.process()
    const { signal } = await a.locks.acquire('k')
    let wait: Promise<HeldLock> | undefined
    signal.addEventListener('abort', () => {
      wait = a.locks.acquire(key)
    })
    const { length } = a.link.sent
    leave()
    await world.pass(lease)
    expect(a.link.sent.slice(length).map(({ type }) => type)).toEqual(['end'])
    comeBack()
    await settle()
    expect((await wait)?.isHeld()).toBe(true)
  })

  test('while its session is being opened opens no other session before the page is shown', async () => {
    const world = new World()
    const a = world.process()
    a.link.break('mute', 'beat')
    const wait = a.locks.acquire('k')
    await settle()
    a.link.mend()
    leave()
    await a.link.deliver()
    freeze()
    await world.pass(lease)
    expect(a.link.count('beat')).toBe(1)
    comeBack()
    await settle()
    expect((await wait).isHeld()).toBe(true)
  })

  test('makes it start a session with a new id when it is shown and requests a lock', async () => {
    const world = new World()
    const a = world.process()
    const before = await a.locks.acquire('k')
    leave()
    await settle()
    comeBack()
    const after = await a.locks.acquire('k')
    expect(after.session).not.toBe(before.session)
    await world.pass(5 * lease)
    expect([before.isHeld(), after.isHeld()]).toEqual([false, true])
  })
})

describe('a frozen page', () => {
  test('gives up its place in the queue, and requests again when it resumes', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process({ label: 'b' })]
    const lock = await a.locks.acquire('k', { duration: 60_000 })
    const wait = b.locks.acquire('k')
    await settle()
    freeze()
    await settle()
    expect(await world.queue()).toEqual([])
    resume()
    await settle()
    expect(await world.queue()).toEqual(['b×1'])
    await lock.release()
    expect((await wait).isHeld()).toBe(true)
  })

  test('whose request was under way when it froze withdraws it', async () => {
    const world = new World()
    delete scope.document
    const a = world.process()
    scope.document = page.document
    const b = world.process({ label: 'b' })
    const lock = await a.locks.acquire('k')
    await b.locks.acquire('other')
    b.link.break('mute', 'request')
    const wait = b.locks.acquire('k')
    await settle()
    b.link.mend()
    freeze()
    await b.link.deliver()
    expect(await world.queue()).toEqual([])
    resume()
    await settle()
    expect(await world.queue()).toEqual(['b×1'])
    await lock.release()
    expect((await wait).isHeld()).toBe(true)
  })

  test('keeps no grant when the withdrawal of one request grants the lock to its next one', async () => {
    const world = new World()
    const a = world.process({ label: 'a' })
    const lock = await a.locks.acquire('k')
    const waits = [a.locks.acquire('k'), a.locks.acquire('k')]
    await settle()
    a.link.break('mute', 'release', 'withdraw')
    const released = lock.release()
    freeze()
    await settle()
    expect([await world.holders(), await world.queue()]).toEqual([[], []])
    await a.link.deliver()
    await released
    expect(await Promise.all(waits.map(stateOf))).toEqual(['pending', 'pending'])
    a.link.mend()
    resume()
    const first = await (waits[0] as (typeof waits)[number])
    expect([first.isHeld(), await world.holders()]).toEqual([true, ['a']])
  })

  test('that resumes in time keeps its locks', async () => {
    const world = new World()
    const a = world.process()
    const lock = await a.locks.acquire('k')
    await world.pass(beat / 2)
    freeze()
    await world.sleep(duration / 2)
    resume()
    await world.pass(lease)
    expect(lock.isHeld()).toBe(true)
  })

  test('that resumes too late has lost its locks, as the first `isHeld` shows', async () => {
    const world = new World()
    const a = world.process()
    const lock = await a.locks.acquire('k')
    const seen: boolean[] = []
    freeze()
    a.stop()
    await world.pass(2 * duration)
    resume()
    seen.push(lock.isHeld())
    a.resume()
    await settle()
    expect([seen, lock.signal.aborted]).toEqual([[false], true])
  })
})

describe('events that a script dispatched', () => {
  test('do not end a session or cancel a wait', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process({ label: 'b' })]
    const lock = await a.locks.acquire('k')
    const wait = b.locks.acquire('k')
    await settle()
    for (const type of ['freeze', 'pagehide']) page.pretend(type)
    await settle()
    expect([lock.isHeld(), await world.queue()]).toEqual([true, ['b×1']])
    await lock.release()
    expect((await wait).isHeld()).toBe(true)
  })

  test('do not wake a frozen page', async () => {
    const world = new World()
    const b = world.process({ label: 'b' })
    freeze()
    b.locks.acquire('k').catch(() => {})
    for (const type of ['resume', 'pageshow', 'prerenderingchange']) page.pretend(type)
    await settle()
    expect(await world.holders()).toEqual([])
  })
})

describe('a prerendered page', () => {
  test('requests nothing until it is activated, whatever other events come', async () => {
    page.document.prerendering = true
    const world = new World()
    const a = world.process({ label: 'a' })
    const wait = a.locks.acquire('k')
    comeBack()
    await world.pass(lease)
    expect([a.link.sent, await stateOf(wait)]).toEqual([[], 'pending'])
    page.document.prerendering = false
    page.tell('prerenderingchange')
    await settle()
    expect([(await wait).isHeld(), await world.holders()]).toEqual([true, ['a']])
  })
})

test('closed locks no longer listen to the page', async () => {
  const world = new World()
  const a = world.process()
  expect(page.listeners).toBe(5)
  await a.locks.close()
  expect(page.listeners).toBe(0)
  leave()
  comeBack()
})
