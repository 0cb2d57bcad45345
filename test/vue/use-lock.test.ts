import type { AcquireOptions, Locks } from 'storelock'
import { type LockState, locksKey, type UseLockOptions, useLeader, useLock } from 'storelock/vue'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { createSSRApp, defineAsyncComponent, effectScope, h, nextTick, reactive, ref, Suspense, shallowRef, type WatchSource, watch } from 'vue'
import { renderToString } from 'vue/server-renderer'
import { type Process, World } from '../locks/world.ts'
import { inVue, newApp } from './host.ts'

let world: World
let a: Process
let b: Process

beforeEach(() => {
  world = new World()
  a = world.process({ label: 'a' })
  b = world.process({ label: 'b' })
})

/** Collects all values, including the first one. */
function note<T>(source: WatchSource<T>): T[] {
  const values: T[] = []
  watch(source, (value) => values.push(value), { immediate: true, flush: 'sync' })
  return values
}

/** A component that uses the locks of `a`, or given ones. */
function makePanel(options: UseLockOptions | (() => UseLockOptions) = {}, name: string | (() => string) = 'k', locks = a.locks) {
  let shown: LockState[] = []
  const { app, ...made } = newApp({
    setup() {
      const state = useLock(name, options)
      shown = note(state)
      return () => h('p', state.value.state)
    },
  })
  app.provide(locksKey, locks)
  return {
    ...made,
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

const take = (name = 'k', options?: AcquireOptions) => b.locks.acquire(name, options)

describe('useLock', () => {
  test('waits, then holds, and shows the lock with its token and signal', async () => {
    const panel = makePanel()
    await panel.mount()
    expect(panel.states).toEqual(['waiting', 'held'])
    const { lock, token, signal, error } = panel.now
    expect(lock?.isHeld()).toBe(true)
    expect([lock?.name, token, signal, error]).toEqual(['k', lock?.token, lock?.signal, undefined])
    expect(await world.holders()).toEqual(['a'])
  })

  test('waits behind another tab until that tab releases', async () => {
    const lock = await take()
    const panel = makePanel()
    await panel.mount()
    expect(panel.now).toMatchObject({ state: 'waiting', lock: undefined, token: undefined, signal: undefined })
    expect(await world.queue()).toEqual(['a×1'])
    await inVue(() => lock.release())
    expect(panel.states).toEqual(['waiting', 'held'])
  })

  test('says what is missing if no locks are provided', async () => {
    const app = createSSRApp({ setup: () => () => useLock('k').value.state })
    app.config.warnHandler = () => {}
    await expect(renderToString(app)).rejects.toThrow('locksKey')
  })
})

describe('a component that unmounts', () => {
  test('releases the lock that it held', async () => {
    const panel = makePanel()
    await panel.mount()
    const { lock } = panel.now
    await panel.unmount()
    expect(lock?.isHeld()).toBe(false)
    expect(await world.holders()).toEqual([])
  })

  test('withdraws its wait, and leaves no trace', async () => {
    const lock = await take()
    const panel = makePanel()
    await panel.mount()
    await panel.unmount()
    expect(await world.queue()).toEqual([])
    await inVue(() => lock.release())
    expect(await world.holders()).toEqual([])
  })

  test('and is mounted again at once makes one request at a time', async () => {
    const visible = ref(true)
    const shown: LockState[][] = []
    const Panel = {
      setup() {
        shown.push(note(useLock('k')))
        return () => null
      },
    }
    const { app, mount } = newApp(() => (visible.value ? h(Panel) : null))
    app.provide(locksKey, a.locks)
    await mount()
    for (const isVisible of [false, true]) {
      visible.value = isVisible
      await nextTick()
    }
    await inVue()
    expect(shown.map((states) => states.at(-1)?.state)).toEqual(['idle', 'held'])
    expect(await world.holders()).toEqual(['a'])
    expect([a.link.count('request'), a.link.count('release')]).toEqual([2, 1])
  })

  test('in the same turn as it was mounted requests nothing', async () => {
    const { app, mount, unmount } = newApp({
      setup() {
        useLock('k')
        return () => null
      },
    })
    app.provide(locksKey, a.locks)
    const mounted = mount()
    const unmounted = unmount()
    await Promise.all([mounted, unmounted])
    expect(a.link.sent).toEqual([])
  })
})

describe('an effect scope outside components', () => {
  test('holds the lock for as long as it lasts, and the state is idle afterwards', async () => {
    const { app } = newApp({})
    app.provide(locksKey, a.locks)
    const scope = effectScope()
    const state = app.runWithContext(() => scope.run(() => useLock('k')))
    await inVue()
    expect(state?.value.state).toBe('held')
    await inVue(() => scope.stop())
    expect(await world.holders()).toEqual([])
    expect(state?.value.state).toBe('idle')
  })
})

describe('rendering', () => {
  test('on a server shows the waiting state, and requests nothing', async () => {
    const app = createSSRApp({
      setup() {
        const state = useLock('k')
        return () => h('p', state.value.state)
      },
    })
    app.provide(locksKey, a.locks)
    expect(await renderToString(app)).toBe('<p>waiting</p>')
    await inVue()
    expect(a.link.sent).toEqual([])
  })

  test('that is suspended requests nothing before it is shown', async () => {
    let arrive = (): void => {}
    const Later = defineAsyncComponent(() => new Promise<{ render(): null }>((resolve) => (arrive = () => resolve({ render: () => null }))))
    const Panel = {
      setup() {
        const state = useLock('k')
        return () => [state.value.state, h(Later)]
      },
    }
    const { app, mount } = newApp(() => h(Suspense, null, { default: () => h(Panel), fallback: () => null }))
    app.provide(locksKey, a.locks)
    vi.spyOn(console, 'info').mockImplementation(() => {})
    await mount()
    expect(a.link.sent).toEqual([])
    await inVue(() => arrive())
    expect(await world.holders()).toEqual(['a'])
  })
})

describe('the request', () => {
  test('follows a change of the name, and the old lock is released', async () => {
    const name = ref('one')
    const panel = makePanel({}, () => name.value)
    await panel.mount()
    const { lock } = panel.now
    name.value = 'two'
    // From now on it no longer shows the state of the old name.
    expect(panel.now.state).toBe('waiting')
    await inVue()
    expect(lock?.isHeld()).toBe(false)
    expect([await world.holders('one'), await world.holders('two')]).toEqual([[], ['a']])
    expect(panel.states).toEqual(['waiting', 'held', 'waiting', 'held'])
  })

  test('is made again when the options change', async () => {
    const options = reactive<Pick<UseLockOptions, 'mode'>>({ mode: 'exclusive' })
    const panel = makePanel(options)
    await panel.mount()
    await inVue(() => {
      options.mode = 'shared'
    })
    expect(panel.now.lock?.mode).toBe('shared')
    expect(a.link.count('request')).toBe(2)
  })

  test('stays the same when options and callbacks are equal by value', async () => {
    const time = ref(0)
    const panel = makePanel(() => ({ metadata: { address: ['here', time.value && 'here'].slice(0, 1) }, onReleaseRequested: () => time.value }))
    await panel.mount()
    for (let times = 0; times < 3; times++) await inVue(() => time.value++)
    expect(panel.states).toEqual(['waiting', 'held'])
    expect([a.link.count('request'), a.link.count('release')]).toEqual([1, 0])
  })

  test('is not made while it is disabled', async () => {
    const enabled = ref(false)
    const panel = makePanel(() => ({ enabled: enabled.value }))
    await panel.mount()
    await inVue(() => panel.now.retry())
    expect([panel.states, a.link.sent]).toEqual([['idle'], []])
    await inVue(() => {
      enabled.value = true
    })
    await inVue(() => {
      enabled.value = false
    })
    expect(panel.states).toEqual(['idle', 'waiting', 'held', 'idle'])
    expect(await world.holders()).toEqual([])
  })

  test('goes to the locks of the nearest component that provides some', async () => {
    const shown = shallowRef<LockState>()
    const Panel = {
      setup() {
        watch(useLock('k'), (state) => (shown.value = state), { immediate: true, flush: 'sync' })
        return () => null
      },
    }
    const provides = (locks: Locks) => ({ provide: { [locksKey as symbol]: locks }, render: () => h(Panel) })
    const { app, mount } = newApp(provides(b.locks))
    app.provide(locksKey, a.locks)
    await mount()
    expect(await world.holders()).toEqual(['b'])
  })
})

describe('a loss', () => {
  test('is shown with its error, and `retry` requests the lock again', async () => {
    const panel = makePanel()
    await panel.mount()
    const thief = await take('k', { steal: true })
    await inVue()
    expect(panel.now).toMatchObject({ state: 'lost', error: { code: 'lost' }, lock: undefined, token: undefined, signal: undefined })
    await inVue(() => panel.now.retry())
    expect(panel.now.state).toBe('waiting')
    await inVue(() => thief.release())
    expect(panel.now.state).toBe('held')
  })

  test('is followed by another wait if `again` is set', async () => {
    const panel = makePanel({ again: true })
    await panel.mount()
    const thief = await take('k', { steal: true })
    await inVue()
    expect(panel.states).toEqual(['waiting', 'held', 'waiting'])
    await inVue(() => thief.release())
    expect(panel.now.state).toBe('held')
  })
})

describe('an error', () => {
  test('of the store is shown, and `retry` requests the lock again', async () => {
    a.link.break('fail')
    const panel = makePanel()
    await panel.mount()
    expect(panel.now).toMatchObject({ state: 'error', error: { code: 'store' }, lock: undefined })
    a.link.mend()
    await inVue(() => panel.now.retry())
    expect(panel.states).toEqual(['waiting', 'error', 'waiting', 'held'])
  })

  test('of the caller is shown', async () => {
    const panel = makePanel({ duration: 1 })
    await panel.mount()
    expect(panel.now).toMatchObject({ state: 'error', error: { name: 'RangeError' } })
  })
})

test('a release request reaches the holder’s latest callback', async () => {
  const which = ref('first')
  const heard = vi.fn()
  const panel = makePanel(() => {
    const now = which.value
    return { onReleaseRequested: (ask, who) => heard(now, ask, who.label) }
  })
  await panel.mount()
  await inVue(() => {
    which.value = 'second'
  })
  take('k', { ask: 'please' }).catch(() => {})
  await inVue()
  expect(heard.mock.calls).toEqual([['second', 'please', 'b']])
  expect(panel.now.state).toBe('held')
})

describe('useLeader', () => {
  test('is true in one candidate, and the next one takes over, also after a loss', async () => {
    const leads = [a, b].map(({ locks }) => {
      const leader = shallowRef<{ readonly value: boolean }>()
      const made = newApp({
        setup() {
          leader.value = useLeader('leader')
          return () => null
        },
      })
      made.app.provide(locksKey, locks)
      return { ...made, is: () => leader.value?.value }
    })
    for (const { mount } of leads) await mount()
    expect(leads.map(({ is }) => is())).toEqual([true, false])
    await inVue(() => b.locks.revoke('leader'))
    expect(leads.map(({ is }) => is())).toEqual([false, true])
    await leads[1]?.unmount()
    await inVue()
    expect(leads[0]?.is()).toBe(true)
  })
})
