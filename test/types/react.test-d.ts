import { createElement } from 'react'
import { type HeldLock, LockError, type Locks } from 'storelock'
import { type LockState, LocksProvider, type UseLockOptions, useLeader, useLock } from 'storelock/react'
import { describe, expectTypeOf, it } from 'vitest'

declare const locks: Locks

describe('useLock', () => {
  it('has a lock in the state held, and only there', () => {
    const { state, lock, token, signal, error, retry } = useLock('k')
    expectTypeOf(state).toEqualTypeOf<'idle' | 'waiting' | 'held' | 'lost' | 'error'>()
    expectTypeOf(retry).toEqualTypeOf<() => void>()
    if (state === 'held') {
      expectTypeOf(lock).toEqualTypeOf<HeldLock>()
      expectTypeOf(token).toEqualTypeOf<number>()
      expectTypeOf(signal).toEqualTypeOf<AbortSignal>()
      expectTypeOf(error).toEqualTypeOf<undefined>()
    } else expectTypeOf(lock).toEqualTypeOf<undefined>()
    if (lock) expectTypeOf(state).toEqualTypeOf<'held'>()
    if (state === 'lost') expectTypeOf(error).toEqualTypeOf<LockError>()
    if (state === 'error') {
      expectTypeOf(error).toEqualTypeOf<Error>()
      if (error instanceof LockError) expectTypeOf(error.code).toExtend<string>()
    }
  })

  it('takes the options of `acquire`, except the signal', () => {
    const options: UseLockOptions = { mode: 'shared', timeout: 1, enabled: false, again: true, metadata: { a: [1] } }
    expectTypeOf(useLock('k', options)).toEqualTypeOf<LockState>()
    // @ts-expect-error unmounting takes the place of a signal
    useLock('k', { signal: AbortSignal.timeout(1) })
    // @ts-expect-error names are strings
    useLock(7)
  })

  it('can be used in its own callback', () => {
    const held = useLock('k', { onReleaseRequested: () => held.lock?.release() })
    expectTypeOf(held).toEqualTypeOf<LockState>()
  })
})

it('useLeader is true or false', () => {
  expectTypeOf(useLeader('k', { metadata: 'address' })).toEqualTypeOf<boolean>()
})

it('LocksProvider needs locks', () => {
  createElement(LocksProvider, { value: locks })
  // @ts-expect-error the locks are missing
  createElement(LocksProvider, {})
  // @ts-expect-error a store is not enough
  createElement(LocksProvider, { value: {} })
})
