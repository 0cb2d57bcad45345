import { getContext, setContext } from 'svelte'
import * as stores from 'svelte/store'
import { type LockState, type UseLockOptions, want } from '../frameworks/want.ts'
import type { Locks } from '../locks/types.ts'

export type { LockState, UseLockOptions } from '../frameworks/want.ts'

const context = Symbol('the locks of storelock')

// Svelte 4 has no `toStore`.
const { derived, readable, toStore }: Pick<typeof stores, 'derived' | 'readable'> & Partial<typeof stores> = stores

/** Provides locks to the components below. To be called while a component initializes. */
export function setLocks(locks: Locks): void {
  setContext(context, locks)
}

/**
 * A store of a lock's state. It holds the lock while it has subscribers, that is, while the component that reads `$lock` is mounted.
 *
 * The lock is requested when the first one subscribes, never on a server, and released when the last one leaves. In Svelte 5 the name and the options
 * may be functions: if what they return changes, the lock is requested again. Options are compared by value; the latest `onReleaseRequested` counts.
 * To be called while a component initializes, unless `locks` are given.
 *
 * @param locks default: those that a component above has provided
 * @example const lock = useLock(() => `draft ${id}`)
 * @throws Error if there are no locks
 */
export function useLock(
  name: string | (() => string),
  options: UseLockOptions | (() => UseLockOptions) = {},
  locks: Locks | undefined = getContext(context),
): stores.Readable<LockState> {
  if (!locks) throw new Error('useLock needs locks: call setLocks(locks) in a component above')
  const optionsNow = (): UseLockOptions => (typeof options === 'function' ? options() : options)
  let latest: [name: string, options: UseLockOptions]
  // JSON leaves functions out.
  const ask = (): string => {
    latest = [typeof name === 'function' ? name() : name, optionsNow()]
    return JSON.stringify(latest)
  }
  const follows = typeof name === 'function' || typeof options === 'function'
  if (follows && !toStore) throw new Error('useLock takes functions only in Svelte 5: in Svelte 4 write $: lock = useLock(name)')
  return derived<stores.Readable<string>, LockState>(follows && toStore ? toStore(ask) : readable(ask()), (_, set) => {
    const wanted = want(locks, ...latest)
    wanted.onReleaseRequested = (...who) => optionsNow().onReleaseRequested?.(...who)
    set(wanted.state())
    // A server subscribes too, while it renders.
    return 'document' in globalThis ? wanted.subscribe(() => set(wanted.state())) : undefined
  })
}

/** A store of whether this component is the leader, that is, holds the lock of this name. It stays a candidate while the store has subscribers. */
export function useLeader(...[name, options, locks]: Parameters<typeof useLock>): stores.Readable<boolean> {
  const asked = (): UseLockOptions => {
    const given = typeof options === 'function' ? options() : options
    return { ...given, again: given?.again ?? true }
  }
  return derived(useLock(name, typeof options === 'function' ? asked : asked(), locks), ({ state }) => state === 'held')
}
