import type { HeldLock, Locks } from 'storelock'
import type { LockState } from 'storelock/react'
import { setLocks, useLeader as svelteLeader, useLock as svelteLock } from 'storelock/svelte'
import { locksKey, useLeader as vueLeader, useLock as vueLock } from 'storelock/vue'
import type { Readable } from 'svelte/store'
import { describe, expectTypeOf, it } from 'vitest'
import { type ComputedRef, provide, ref } from 'vue'

declare const locks: Locks

describe('in Vue', () => {
  it('useLock is a ref of the state, which has the lock while it is held', () => {
    const held = vueLock('k', { mode: 'shared', enabled: undefined })
    expectTypeOf(held).toEqualTypeOf<ComputedRef<LockState>>()
    if (held.value.state === 'held') expectTypeOf(held.value.lock).toEqualTypeOf<HeldLock>()
    else expectTypeOf(held.value.lock).toEqualTypeOf<undefined>()
  })

  it('the name and the options may be refs or getters', () => {
    vueLock(ref('k'), ref({ enabled: true }))
    vueLock(
      () => 'k',
      () => ({ again: true }),
    )
    expectTypeOf(vueLeader('k')).toEqualTypeOf<ComputedRef<boolean>>()
    // @ts-expect-error names are strings
    vueLock(7)
    // @ts-expect-error the end of the scope takes the place of a signal
    vueLock('k', { signal: AbortSignal.timeout(1) })
  })

  it('only locks can be provided', () => {
    provide(locksKey, locks)
    // @ts-expect-error these are not locks
    provide(locksKey, {})
  })
})

describe('in Svelte', () => {
  it('useLock is a store of the state', () => {
    expectTypeOf(svelteLock('k', { mode: 'shared', enabled: undefined }, locks)).toEqualTypeOf<Readable<LockState>>()
    expectTypeOf(svelteLeader(() => 'k')).toEqualTypeOf<Readable<boolean>>()
    // @ts-expect-error names are strings
    svelteLock(7)
    // @ts-expect-error unsubscribing takes the place of a signal
    svelteLock('k', { signal: AbortSignal.timeout(1) })
  })

  it('only locks can be set', () => {
    setLocks(locks)
    // @ts-expect-error these are not locks
    setLocks({})
  })
})
