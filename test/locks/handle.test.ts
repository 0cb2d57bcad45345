import { reactive } from '@vue/reactivity'
import { produce } from 'immer'
import { observable } from 'mobx'
import { createLocks, type Guard, type HeldLock, type Locks, noopLocks, type ReentrantLock } from 'storelock'
import { memoryStore } from 'storelock/stores/memory'
import { describe, expect, test } from 'vitest'
import { endings, places } from './places.ts'

// Users keep locks in the state of a framework, which wraps them in a Proxy.

const keepers: Record<string, <T extends object>(value: T) => T> = {
  // Alpine uses Vue's reactive state.
  "Vue's or Alpine's state": (value) => reactive({ value }).value as typeof value,
  "MobX's state": (value) => observable({ value }).value,
  "Immer's state, which is frozen": (value) =>
    produce({ value: undefined as unknown }, (draft) => {
      draft.value = value
    }).value as typeof value,
  'a Proxy': (value) => new Proxy(value, {}),
}

const makers: Record<string, () => Locks> = {
  ...Object.fromEntries(
    Object.entries(places).map(([place, placed]) => [
      `from ${place}`,
      () => {
        const locks = createLocks({ store: memoryStore() })
        endings.push(() => locks.close())
        return placed(locks)
      },
    ]),
  ),
  'of noopLocks': noopLocks,
}

/** Uses a held lock through its destructured methods. */
async function useHeld(lock: HeldLock | Guard): Promise<void> {
  const { name, token, signal, isHeld, assertHeld, release } = lock
  expect([name, token > 0, isHeld(), lock.isHeld(), signal.aborted]).toEqual(['k', true, true, true, false])
  assertHeld()
  if ('renew' in lock) {
    const { renew } = lock
    await renew()
  }
  await release()
  expect([lock.isHeld(), signal.aborted]).toEqual([false, true])
}

describe.each(Object.entries(makers))('%s,', (_, make) => {
  describe.each(Object.entries(keepers))('in %s,', (_, keep) => {
    test('a lock works, and so do its methods when destructured', async () => {
      const locks = make()
      await useHeld(keep(await locks.acquire('k')))
      await useHeld(keep((await locks.tryAcquire('k')) as HeldLock))
      let used: Promise<void> | undefined
      const request = locks.request('k', (lock) => {
        used = useHeld(keep(lock))
        return used
      })
      await Promise.all([used, request])
    })

    test('a re-entrant lock and its guards work, and so do their methods when destructured', async () => {
      const kept: ReentrantLock = keep(make().reentrant('k'))
      const { acquire, tryAcquire, isHeld, clearDirty } = kept
      const guard = keep(await acquire())
      const { clone } = guard
      await (await tryAcquire())?.release()
      await clone().release()
      expect([kept.name, kept.dirty, isHeld()]).toEqual(['k', false, true])
      await useHeld(guard)
      expect(kept.isHeld()).toBe(false)
      clearDirty()
    })

    test('`Locks` works, and so do its methods when destructured', async () => {
      const { acquire, query, close } = keep(make())
      const lock = await acquire('k')
      expect((await query('k')).held).toHaveLength(1)
      await lock.release()
      await close()
    })
  })
})
