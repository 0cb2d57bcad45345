'use client'

import { type Context, createContext, useContext, useEffect, useMemo, useSyncExternalStore } from 'react'
import { type LockState, type UseLockOptions, want } from '../frameworks/want.ts'
import type { Locks } from '../locks/types.ts'

export type { LockState, UseLockOptions } from '../frameworks/want.ts'

const LocksContext: Context<Locks | undefined> = createContext<Locks | undefined>(undefined)

/** Provides locks to the components below it: `<LocksProvider value={locks}>`. */
export const LocksProvider = LocksContext.Provider

/**
 * Holds a lock while the component is mounted, and returns its state.
 *
 * The lock is requested after mounting, never during rendering, and released on unmounting. If the name, the locks or the options change, it is
 * requested again. Options are compared by value, so they may be written inline; the latest `onReleaseRequested` counts.
 *
 * @throws Error if there is no {@link LocksProvider} above
 */
export function useLock(name: string, options: UseLockOptions = {}): LockState {
  const locks = useContext(LocksContext)
  if (!locks) throw new Error('useLock needs locks: put <LocksProvider value={locks}> around the components that use it')
  // JSON leaves functions out.
  const asked = JSON.stringify([name, options])
  // If React dropped the memo, the lock would be released and requested again.
  // biome-ignore lint/correctness/useExhaustiveDependencies: everything else in `options` is in `asked`
  const wanted = useMemo(() => want(locks, name, options), [locks, asked])
  useEffect(() => {
    wanted.onReleaseRequested = options.onReleaseRequested
  })
  // A subscription instead of an effect and a state, so that the state never belongs to another name, or to a lock that has been released.
  return useSyncExternalStore(wanted.subscribe, wanted.state, wanted.state)
}

/** Whether this component is the leader, that is, holds the lock of this name. It stays a candidate until it unmounts. */
export function useLeader(name: string, options?: UseLockOptions): boolean {
  return useLock(name, { ...options, again: options?.again ?? true }).state === 'held'
}
