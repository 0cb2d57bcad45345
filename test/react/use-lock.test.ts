import { Activity, type ActivityProps, type FC, createElement as h, type ReactNode, StrictMode, Suspense, useLayoutEffect } from 'react'
import { renderToString } from 'react-dom/server'
import type { AcquireOptions, Locks } from 'storelock'
import { type LockState, LocksProvider, type UseLockOptions, useLeader, useLock } from 'storelock/react'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { lease, type Process, World } from '../locks/world.ts'
import { inReact, newRoot } from './root.ts'

let world: World
let a: Process
let b: Process

beforeEach(() => {
  world = new World()
  a = world.process({ label: 'a' })
  b = world.process({ label: 'b' })
})

interface PanelProps {
  readonly name?: string
  readonly options?: UseLockOptions | undefined
  /** The states that React has rendered, in order. */
  readonly shown: LockState[]
  readonly children?: ReactNode
}

function Panel({ name = 'k', options, shown, children }: PanelProps): ReactNode {
  const state = useLock(name, options)
  useLayoutEffect(() => void shown.push(state))
  return children
}

const within = (locks: Locks, ...children: ReactNode[]) => h(LocksProvider, { value: locks }, ...children)

/** A panel that uses the locks of `a`, or given ones. */
function makePanel() {
  const shown: LockState[] = []
  const root = newRoot()
  return {
    shown,
    render: (options?: UseLockOptions, { name = 'k', locks = a.locks, strict = false } = {}) => {
      const panel = within(locks, h(Panel, { name, options, shown }))
      return root.render(strict ? h(StrictMode, null, panel) : panel)
    },
    unmount: root.unmount,
    /** The state that it shows now. */
    get now(): LockState {
      return shown.at(-1) as LockState
    },
    /** The states that it has shown, without repetitions. */
    get states(): string[] {
      return shown.map(({ state }) => state).filter((state, index, all) => state !== all[index - 1])
    },
  }
}

const take = async (name = 'k', options?: AcquireOptions) => b.locks.acquire(name, options)

describe('useLock', () => {
  test('waits, then holds, and shows the lock with its token and signal', async () => {
    const panel = makePanel()
    await panel.render()
    expect(panel.states).toEqual(['waiting', 'held'])
    const { lock, token, signal, error } = panel.now
    expect(lock?.isHeld()).toBe(true)
    expect([lock?.name, token, signal, error]).toEqual(['k', lock?.token, lock?.signal, undefined])
    expect(await world.holders()).toEqual(['a'])
  })

  test('waits behind another tab until that tab releases', async () => {
    const lock = await take()
    const panel = makePanel()
    await panel.render()
    expect(panel.now).toMatchObject({ state: 'waiting', lock: undefined, token: undefined, signal: undefined })
    expect(await world.queue()).toEqual(['a×1'])
    await inReact(() => lock.release())
    expect(panel.states).toEqual(['waiting', 'held'])
  })

  test('waits behind another component of the same page', async () => {
    const [one, two] = [makePanel(), makePanel()]
    await one.render()
    await two.render()
    expect([one.now.state, two.now.state]).toEqual(['held', 'waiting'])
    await one.unmount()
    expect(two.now.state).toBe('held')
  })

  test('says what is missing if no locks are provided', () => {
    expect(() => renderToString(h(Panel, { shown: [] }))).toThrow('LocksProvider')
  })
})

describe('a component that unmounts', () => {
  test('releases the lock that it held', async () => {
    const panel = makePanel()
    await panel.render()
    const { lock } = panel.now
    await panel.unmount()
    expect(lock?.isHeld()).toBe(false)
    expect(await world.holders()).toEqual([])
  })

  test('withdraws its wait, and leaves no trace', async () => {
    const lock = await take()
    const panel = makePanel()
    await panel.render()
    await panel.unmount()
    expect(await world.queue()).toEqual([])
    await inReact(() => lock.release())
    expect(await world.holders()).toEqual([])
    expect(panel.states).toEqual(['waiting'])
  })

  test('releases a lock that is granted at the same moment', async () => {
    const { acquire } = a.locks
    let grant = () => {}
    a.locks.acquire = async (name) => {
      const lock = await acquire(name)
      await new Promise<void>((resolve) => {
        grant = resolve
      })
      return lock
    }
    const panel = makePanel()
    await panel.render()
    await panel.unmount()
    expect(await world.holders()).toEqual(['a'])
    await inReact(() => grant())
    expect(await world.holders()).toEqual([])
    expect(panel.states).toEqual(['waiting'])
  })

  test('requests nothing any more', async () => {
    const panel = makePanel()
    await panel.render()
    await panel.unmount()
    await inReact(() => panel.now.retry())
    expect(a.link.count('request')).toBe(1)
  })

  test('has a failed release retried', async () => {
    const panel = makePanel()
    await panel.render()
    a.link.break('fail', 'release')
    await panel.unmount()
    expect(a.warnings).toMatchObject([{ type: 'release', names: ['k'] }])
    a.link.mend()
    await inReact(() => world.pass(lease))
    expect(await world.holders()).toEqual([])
  })
})

describe('Strict Mode, which mounts twice,', () => {
  test('requests once, and holds once', async () => {
    const panel = makePanel()
    await panel.render({}, { strict: true })
    expect(panel.states).toEqual(['waiting', 'held'])
    expect([a.link.count('request'), a.link.count('withdraw'), a.link.count('release')]).toEqual([1, 0, 0])
    await panel.unmount()
    expect(await world.holders()).toEqual([])
  })

  test('waits once if the session is already open', async () => {
    const lock = await take()
    await a.locks.acquire('other')
    const panel = makePanel()
    await panel.render({}, { strict: true })
    expect(await world.queue()).toEqual(['a×1'])
    await inReact(() => lock.release())
    expect(panel.now.state).toBe('held')
  })

  test('holds once if the lock lingered', async () => {
    const c = world.process({ label: 'c', linger: 10_000 })
    await (await c.locks.acquire('k')).release()
    const panel = makePanel()
    await panel.render({}, { locks: c.locks, strict: true })
    expect(panel.now.state).toBe('held')
    expect(c.link.count('request')).toBe(1)
  })
})

describe('rendering', () => {
  test('on a server shows the waiting state, and requests nothing', async () => {
    const Text = () => useLock('k').state
    expect(renderToString(within(a.locks, h(Text)))).toBe('waiting')
    expect(a.link.sent).toEqual([])
  })

  test('that is suspended before it is shown requests nothing', async () => {
    const shown: LockState[] = []
    let resolve = () => {}
    let arriving: Promise<void> | undefined = new Promise<void>((settle) => {
      resolve = settle
    })
    const Later = () => {
      if (arriving) throw arriving
      return null
    }
    const root = newRoot()
    await root.render(within(a.locks, h(Suspense, { fallback: null }, h(Panel, { shown }, h(Later)))))
    expect([shown, a.link.sent]).toEqual([[], []])
    await inReact(() => {
      arriving = undefined
      resolve()
    })
    expect(shown.at(-1)?.state).toBe('held')
  })

  // React 18 has no Activity.
  test.runIf(Activity)('of a hidden subtree releases, and requests again when it is shown', async () => {
    const shown: LockState[] = []
    const root = newRoot()
    const show = (mode: 'visible' | 'hidden') =>
      root.render(within(a.locks, h(Activity as FC<Partial<ActivityProps>>, { mode }, h(Panel, { shown }))))
    await show('visible')
    const token = shown.at(-1)?.token ?? 0
    await show('hidden')
    expect(await world.holders()).toEqual([])
    await show('visible')
    expect(shown.at(-1)).toMatchObject({ state: 'held' })
    expect(shown.at(-1)?.token).toBeGreaterThan(token)
  })
})

describe('the request', () => {
  test('follows a change of the name, and the old lock is released', async () => {
    const panel = makePanel()
    await panel.render({}, { name: 'one' })
    const { lock } = panel.now
    await panel.render({}, { name: 'two' })
    expect(lock?.isHeld()).toBe(false)
    expect([await world.holders('one'), await world.holders('two')]).toEqual([[], ['a']])
    expect(panel.shown.map(({ state, lock }) => lock?.name ?? state)).toEqual(['waiting', 'one', 'waiting', 'two'])
  })

  test('goes to the new `Locks` when they change, and the old lock is released', async () => {
    const panel = makePanel()
    await panel.render()
    await panel.render({}, { locks: b.locks })
    expect(await world.holders()).toEqual(['b'])
    expect(panel.states).toEqual(['waiting', 'held', 'waiting', 'held'])
  })

  test('is made again when the options change', async () => {
    const panel = makePanel()
    await panel.render({ mode: 'exclusive' })
    await panel.render({ mode: 'shared' })
    expect(panel.now.lock?.mode).toBe('shared')
    expect(a.link.count('request')).toBe(2)
  })

  test('stays the same when options and callbacks are equal by value', async () => {
    const panel = makePanel()
    for (let time = 0; time < 3; time++) await panel.render({ metadata: { address: ['here'] }, onReleaseRequested: () => time })
    expect(panel.states).toEqual(['waiting', 'held'])
    expect([a.link.count('request'), a.link.count('release')]).toEqual([1, 0])
  })

  test('is not made while it is disabled', async () => {
    const panel = makePanel()
    await panel.render({ enabled: false })
    await inReact(() => panel.now.retry())
    expect([panel.states, a.link.sent]).toEqual([['idle'], []])
    await panel.render({ enabled: true })
    await panel.render({ enabled: false })
    expect(panel.states).toEqual(['idle', 'waiting', 'held', 'idle'])
    expect(await world.holders()).toEqual([])
  })
})

describe('a loss', () => {
  test('is shown with its error, and `retry` requests the lock again', async () => {
    const panel = makePanel()
    await panel.render()
    const thief = await take('k', { steal: true })
    await inReact()
    expect(panel.now).toMatchObject({ state: 'lost', error: { code: 'lost' }, lock: undefined, token: undefined, signal: undefined })
    await inReact(() => panel.now.retry())
    expect(panel.now.state).toBe('waiting')
    await inReact(() => thief.release())
    expect(panel.now.state).toBe('held')
  })

  test('that happened before the component heard of the grant is shown', async () => {
    const panel = makePanel()
    const { acquire } = a.locks
    a.locks.acquire = async (...args) => {
      const lock = await acquire(...args)
      await a.locks.revoke('k')
      return lock
    }
    await panel.render()
    expect(panel.now).toMatchObject({ state: 'lost', error: { code: 'lost' } })
  })

  test('is followed by another wait if `again` is set', async () => {
    const panel = makePanel()
    await panel.render({ again: true })
    const thief = await take('k', { steal: true })
    await inReact()
    expect(panel.states).toEqual(['waiting', 'held', 'waiting'])
    await inReact(() => thief.release())
    expect(panel.now.state).toBe('held')
  })
})

describe('an error', () => {
  test('of the store is shown, and `retry` requests the lock again', async () => {
    a.link.break('fail')
    const panel = makePanel()
    await panel.render()
    expect(panel.now).toMatchObject({ state: 'error', error: { code: 'store' }, lock: undefined })
    a.link.mend()
    await inReact(() => panel.now.retry())
    expect(panel.now.state).toBe('held')
  })

  test('of the caller is shown', async () => {
    const panel = makePanel()
    await panel.render({ duration: 1 })
    expect(panel.now).toMatchObject({ state: 'error', error: { name: 'RangeError' } })
    await panel.render({}, { name: '' })
    expect(panel.now).toMatchObject({ state: 'error', error: { code: 'invalid' } })
  })

  test('of a wait that took too long is shown', async () => {
    await take()
    const panel = makePanel()
    await panel.render({ timeout: 500 })
    await inReact(() => world.pass(500))
    expect(panel.now).toMatchObject({ state: 'error', error: { code: 'timeout' } })
    expect(await world.queue()).toEqual([])
  })
})

describe('a lock that the component releases', () => {
  test('with release() is idle until `retry`', async () => {
    const panel = makePanel()
    await panel.render({ again: true })
    await inReact(() => panel.now.lock?.release())
    expect(panel.now).toMatchObject({ state: 'idle', lock: undefined })
    await inReact(() => panel.now.retry())
    expect(panel.now.state).toBe('held')
  })

  test('by `retry` goes to the other waiters first', async () => {
    const panel = makePanel()
    await panel.render()
    const wait = take()
    await inReact()
    await inReact(() => panel.now.retry())
    const lock = await wait
    expect([lock.isHeld(), panel.now.state]).toEqual([true, 'waiting'])
    await inReact(() => lock.release())
    expect(panel.now.state).toBe('held')
  })

  test('on request of another session hears of that through the latest callback', async () => {
    const panel = makePanel()
    const heard = vi.fn()
    await panel.render({ onReleaseRequested: () => heard('first') })
    await panel.render({ onReleaseRequested: (ask, who) => heard('second', ask, who.label) })
    take('k', { ask: 'please' }).catch(() => {})
    await inReact()
    expect(heard.mock.calls).toEqual([['second', 'please', 'b']])
    expect(panel.now.state).toBe('held')
  })
})

describe('useLeader', () => {
  test('is true in one candidate, and the next one takes over, also after a loss', async () => {
    const leaders: Record<string, boolean> = {}
    const Candidate = ({ id }: { readonly id: string }) => {
      const leads = useLeader('leader')
      useLayoutEffect(() => {
        leaders[id] = leads
      })
      return null
    }
    const roots = [newRoot(), newRoot()]
    await roots[0]?.render(within(a.locks, h(Candidate, { id: 'a' })))
    await roots[1]?.render(within(b.locks, h(Candidate, { id: 'b' })))
    expect(leaders).toEqual({ a: true, b: false })
    await inReact(() => b.locks.revoke('leader'))
    expect(leaders).toEqual({ a: false, b: true })
    await roots[1]?.unmount()
    expect(leaders.a).toBe(true)
  })
})
