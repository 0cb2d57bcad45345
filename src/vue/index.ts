import {
  type ComputedRef,
  computed,
  type InjectionKey,
  inject,
  type MaybeRefOrGetter,
  shallowRef,
  toRaw,
  toValue,
  triggerRef,
  watchPostEffect,
} from 'vue'
import { type LockState, type UseLockOptions, want } from '../frameworks/want.ts'
import type { Locks } from '../locks/types.ts'

export type { LockState, UseLockOptions } from '../frameworks/want.ts'

/** Provides locks to the components below: `app.provide(locksKey, locks)`, or `provide(locksKey, locks)` in a component. */
export const locksKey: InjectionKey<Locks> = Symbol('the locks of storelock')

/**
 * Holds a lock as long as the component is mounted, or the effect scope lasts, and returns its state.
 *
 * The lock is requested after mounting, never on a server, and released when the scope ends. If the name or the options change, it is requested
 * again; both may be refs or getters. Options are compared by value; the latest `onReleaseRequested` counts.
 *
 * @example const draft = useLock(() => `draft ${props.id}`)
 * @throws Error if no locks are provided
 */
export function useLock(name: MaybeRefOrGetter<string>, options: MaybeRefOrGetter<UseLockOptions> = {}): ComputedRef<LockState> {
  const locks = inject(locksKey, undefined)
  if (!locks) throw new Error('useLock needs locks: call app.provide(locksKey, locks), or provide(locksKey, locks) in a component above')
  let latest: [name: string, options: UseLockOptions]
  // JSON leaves functions out.
  const asked = computed(() => {
    latest = [toValue(name), toValue(options)]
    return JSON.stringify(latest)
  })
  const wanted = computed(() => {
    void asked.value
    const made = want(locks, latest[0], toRaw(latest[1]))
    made.onReleaseRequested = (...who) => toValue(options).onReleaseRequested?.(...who)
    return made
  })
  const changed = shallowRef()
  const show = (): void => triggerRef(changed)
  // Vue runs this effect after mounting, and never on a server.
  watchPostEffect((onCleanup) => {
    const end = wanted.value.subscribe(show)
    onCleanup(() => {
      end()
      show()
    })
  })
  // Computed, so that the state never belongs to another name.
  return computed(() => {
    void changed.value
    return wanted.value.state()
  })
}

/** Whether this component is the leader, that is, holds the lock of this name. It stays a candidate until it unmounts. */
export function useLeader(name: MaybeRefOrGetter<string>, options?: MaybeRefOrGetter<UseLockOptions>): ComputedRef<boolean> {
  const held = useLock(name, () => ({ ...toValue(options), again: toValue(options)?.again ?? true }))
  return computed(() => held.value.state === 'held')
}
