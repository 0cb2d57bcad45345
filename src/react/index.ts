'use client'

import { createContext, useContext, useEffect, useMemo, useSyncExternalStore } from 'react'
import type { Locks } from '../locks/types.ts'
import { type LockState, type UseLockOptions, want } from './want.ts'

export type { LockState, UseLockOptions } from './want.ts'

const LocksContext = createContext<Locks | undefined>(undefined)

/** Gives the components below it the locks that they use: `<LocksProvider value={locks}>`. */
export const LocksProvider = LocksContext.Provider

/**
 * Holds a lock while the component is there, and tells what has become of it.
 *
 * The lock is asked for after the component has been shown, never while it renders, and let go when it goes. Another name, other locks
 * or other options ask anew. Options are compared by what they say, so they may stand inline; of `onReleaseRequested` the latest counts.
 * @throws Error if there is no {@link LocksProvider} above
 */
export function useLock(name: string, options: UseLockOptions = {}): LockState {
  const locks = useContext(LocksContext)
  if (!locks) throw new Error('useLock finds no locks: put <LocksProvider value={locks}> around the components that use it')
  // Functions are left out of JSON.
  const asked = JSON.stringify([name, options])
  // Were React to forget it, the lock would be let go and asked for anew.
  // biome-ignore lint/correctness/useExhaustiveDependencies: what else `options` has stands in `asked`
  const wanted = useMemo(() => want(locks, name, options), [locks, asked])
  useEffect(() => {
    wanted.onReleaseRequested = options.onReleaseRequested
  })
  // A subscription, not an effect and a state: what is shown is then never of another name, nor of a lock that has been let go.
  return useSyncExternalStore(wanted.subscribe, wanted.state, wanted.state)
}

/** Whether this component is the leader: one that holds the lock of this name. It stays a candidate until it goes. */
export function useLeader(name: string, options?: UseLockOptions): boolean {
  return useLock(name, { again: true, ...options }).state === 'held'
}
