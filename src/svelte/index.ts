import { getContext, setContext } from 'svelte'
import type { Readable } from 'svelte/store'
import * as stores from 'svelte/store'
import { type LockState, type UseLockOptions, want } from '../frameworks/want.ts'
import type { Locks } from '../locks/types.ts'

export type { LockState, UseLockOptions } from '../frameworks/want.ts'

const context = Symbol('the locks of storelock')

// Svelte 4 has no `toStore`.
const { derived, readable, toStore }: Pick<typeof stores, 'derived' | 'readable'> & Partial<typeof stores> = stores

/** A value, or a function that returns it and whose changes are followed. */
export type Given<T> = T | (() => T)

const isFunction = (given: unknown): given is () => never => typeof given === 'function'
const now = <T>(given: Given<T>): T => (isFunction(given) ? given() : (given as T))

/** Provides locks to the components below. Call it while a component initializes. */
export function setLocks(locks: Locks): void {
  setContext(context, locks)
}

/**
 * A store of a lock's state. It holds the lock while it has subscribers, that is, while the component that reads `$lock` is mounted.
 *
 * The lock is requested when the first subscriber comes, never on a server, and released when the last one leaves. In Svelte 5 the name and the
 * options may be functions: if what they return changes, the lock is requested again. Options are compared by value; the latest `onReleaseRequested`
 * counts.
 *
 * @param locks default: the locks that a component above has set; then call this while a component initializes
 * @example const lock = useLock(() => `draft ${id}`)
 * @throws Error if there are no locks
 */
export function useLock(name: Given<string>, options: Given<UseLockOptions> = {}, locks?: Locks): Readable<LockState> {
  const provided = locks ?? getContext<Locks | undefined>(context)
  if (!provided) throw new Error('useLock needs locks: call setLocks(locks) in a component above')
  let latest: [name: string, options: UseLockOptions]
  // JSON leaves functions out.
  const ask = (): string => {
    latest = [now(name), now(options)]
    return JSON.stringify(latest)
  }
  const follows = [name, options].some(isFunction)
  if (follows && !toStore) throw new Error('functions need Svelte 5: write $: lock = useLock(name)')
  return derived<Readable<string>, LockState>(follows && toStore ? toStore(ask) : readable(ask()), (_, set) => {
    const wanted = want(provided, ...latest)
    wanted.onReleaseRequested = (...who) => now(options).onReleaseRequested?.(...who)
    const show = (): void => set(wanted.state())
    show()
    // A server subscribes too, while it renders.
    return 'document' in globalThis ? wanted.subscribe(show) : undefined
  })
}

/** A store of whether this component is the leader, that is, holds the lock of this name. It stays a candidate while the store has subscribers. */
export function useLeader(name: Given<string>, options?: Given<UseLockOptions>, locks?: Locks): Readable<boolean> {
  const asked = (): UseLockOptions => ({ ...now(options), again: now(options)?.again ?? true })
  return derived(useLock(name, isFunction(options) ? asked : asked(), locks), ({ state }) => state === 'held')
}
