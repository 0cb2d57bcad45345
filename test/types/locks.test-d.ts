import {
  type AcquireOptions,
  type Clock,
  createLocks,
  formatKey,
  type Guard,
  type HeldBy,
  type HeldInfo,
  type HeldLock,
  type Json,
  LockError,
  type LockErrorCode,
  type Locks,
  type LocksOptions,
  type LossReason,
  moduleKey,
  noopLocks,
  type PendingInfo,
  type Policy,
  parseKey,
  type ReentrantLock,
  type RequestOptions,
  type Store,
  systemKey,
  type TryOptions,
} from 'storelock'
import { describe, expectTypeOf, it } from 'vitest'

declare const locks: Locks
declare const store: Store

describe('createLocks', () => {
  it('needs a store and nothing else', () => {
    expectTypeOf(createLocks({ store })).toEqualTypeOf<Locks>()
    // @ts-expect-error a store is missing
    createLocks({ duration: 1_000 })
    // @ts-expect-error durations are numbers of milliseconds
    createLocks({ store, duration: '1s' })
    // @ts-expect-error misspelt options are refused
    createLocks({ store, durations: 1_000 })
  })

  it('takes every setting', () => {
    expectTypeOf<Required<LocksOptions>>().toExtend<{
      store: Store
      duration: number | undefined
      maxBackoff: number | undefined
      maxHold: number | undefined
      deadlock: 'warn' | 'reject' | undefined
      label: string | undefined
      namespace: string | undefined
      policy: Policy | undefined
      expiry: 'auto' | 'manual' | undefined
      clock: Clock | undefined
    }>()
  })

  it('has the same type as noopLocks', () => {
    expectTypeOf(noopLocks()).toEqualTypeOf<Locks>()
  })
})

describe('request', () => {
  it('gives its callback a held lock', () => {
    locks.request('a', (lock) => expectTypeOf(lock).toEqualTypeOf<HeldLock>())
    locks.request('a', {}, (lock) => expectTypeOf(lock).toEqualTypeOf<HeldLock>())
    locks.request('a', { mode: 'shared', timeout: 5 }, (lock) => expectTypeOf(lock).toEqualTypeOf<HeldLock>())
    locks.request('a', { limit: 3 }, (lock) => expectTypeOf(lock).toEqualTypeOf<HeldLock>())
    locks.request('a', { ifAvailable: false }, (lock) => expectTypeOf(lock).toEqualTypeOf<HeldLock>())
  })

  it('gives it a held lock or null if the request can be refused', () => {
    locks.request('a', { ifAvailable: true }, (lock) => expectTypeOf(lock).toEqualTypeOf<HeldLock | null>())
    const options: RequestOptions = {}
    locks.request('a', options, (lock) => expectTypeOf(lock).toEqualTypeOf<HeldLock | null>())
  })

  it('returns the callback’s result, unwrapped from a promise', () => {
    expectTypeOf(locks.request('a', () => 7)).toEqualTypeOf<Promise<number>>()
    expectTypeOf(locks.request('a', async () => 7)).toEqualTypeOf<Promise<number>>()
    expectTypeOf(locks.request('a', { mode: 'shared' }, async () => ['x'])).toEqualTypeOf<Promise<string[]>>()
    expectTypeOf(locks.request('a', { ifAvailable: true }, (lock) => lock?.token)).toEqualTypeOf<Promise<number | undefined>>()
  })

  it('accepts undefined for options', () => {
    const options = { ifAvailable: undefined, ifNoQueue: undefined, signal: undefined }
    locks.request('a', options, (lock) => expectTypeOf(lock).toEqualTypeOf<HeldLock>())
    locks.reentrant('a', { duration: undefined }).acquire({ timeout: undefined, signal: undefined })
    locks.reentrant('a').tryAcquire({ timeout: undefined })
    locks.whenFree('a', { signal: undefined })
  })

  it('refuses an invalid mode and a missing callback', () => {
    // @ts-expect-error a mode is exclusive or shared
    locks.request('a', { mode: 'readonly' }, () => {})
    // @ts-expect-error the callback is missing
    locks.request('a', {})
  })

  it('is a drop-in for navigator.locks', () => {
    const count = (api: { request(name: string, callback: () => Promise<number>): Promise<number> }) => api.request('a', async () => 1)
    count(locks)
    count(navigator.locks)
  })
})

describe('handles', () => {
  it('are held locks, or null if a try can fail', () => {
    expectTypeOf(locks.acquire('a')).toEqualTypeOf<Promise<HeldLock>>()
    expectTypeOf(locks.tryAcquire('a')).toEqualTypeOf<Promise<HeldLock | null>>()
  })

  it('are disposed of asynchronously', async () => {
    await using lock = await locks.acquire('a')
    await using maybe = await locks.tryAcquire('b')
    expectTypeOf(lock).toExtend<AsyncDisposable>()
    expectTypeOf(maybe).toEqualTypeOf<HeldLock | null>()
    // @ts-expect-error a release is asynchronous
    using _ = lock
  })

  it('have readonly properties', async () => {
    const lock = await locks.acquire('a')
    expectTypeOf(lock).toExtend<{
      readonly name: string
      readonly mode: 'exclusive' | 'shared'
      readonly token: number
      readonly dirty: boolean
      readonly session: string
      readonly signal: AbortSignal
    }>()
    expectTypeOf(lock.isHeld()).toEqualTypeOf<boolean>()
    expectTypeOf(lock.renew).toBeCallableWith(5_000)
    expectTypeOf(lock.renew()).toEqualTypeOf<Promise<void>>()
    expectTypeOf(lock.release()).toEqualTypeOf<Promise<void>>()
    // @ts-expect-error a token is read-only
    lock.token = 1
  })

  it('take options that say how to wait and how to hold', () => {
    expectTypeOf<AcquireOptions['limit']>().toEqualTypeOf<number | undefined>()
    expectTypeOf<AcquireOptions['metadata']>().toEqualTypeOf<Json | undefined>()
    expectTypeOf<AcquireOptions['renew']>().toEqualTypeOf<'auto' | 'manual' | undefined>()
    expectTypeOf<'signal'>().not.toExtend<keyof TryOptions>()
    // @ts-expect-error functions are not plain data
    locks.acquire('a', { metadata: () => 1 })
  })
})

describe('reentrant', () => {
  it('gives guards', () => {
    expectTypeOf(locks.reentrant('a')).toEqualTypeOf<ReentrantLock>()
    expectTypeOf(locks.reentrant('a').acquire()).toEqualTypeOf<Promise<Guard>>()
    expectTypeOf(locks.reentrant('a').tryAcquire({ timeout: 0 })).toEqualTypeOf<Promise<Guard | null>>()
    expectTypeOf<ReturnType<Guard['clone']>>().toEqualTypeOf<Guard>()
    expectTypeOf<Guard>().toExtend<AsyncDisposable>()
  })

  it('has no mode: a shared hold would not exclude other shared holders', () => {
    // @ts-expect-error there is no such option
    locks.reentrant('a', { mode: 'shared' })
  })
})

describe('query', () => {
  it('has everything that Web Locks show, and more', async () => {
    const { held, pending } = await locks.query()
    expectTypeOf(held).toEqualTypeOf<HeldInfo[]>()
    expectTypeOf(pending).toEqualTypeOf<PendingInfo[]>()
    const snapshot: LockManagerSnapshot = { held, pending }
    expectTypeOf(snapshot.held).toExtend<unknown[] | undefined>()
  })
})

describe('errors', () => {
  it('have a code that a switch can exhaust', () => {
    const say = (code: LockErrorCode): string => {
      switch (code) {
        case 'held':
        case 'timeout':
          return 'busy'
        case 'lost':
        case 'not-held':
        case 'not-owner':
          return 'not yours'
        case 'invalid':
        case 'corrupt':
        case 'closed':
        case 'store':
        case 'deadlock':
          return 'wrong'
      }
    }
    expectTypeOf(say).returns.toEqualTypeOf<string>()
    expectTypeOf(new LockError('lost', 'gone')).toExtend<Error>()
    expectTypeOf<LockError['code']>().toEqualTypeOf<LockErrorCode>()
    expectTypeOf<LockError['reason']>().toEqualTypeOf<LossReason | undefined>()
    expectTypeOf<LossReason>().toEqualTypeOf<'stolen' | 'revoked' | 'expired' | 'ended'>()
    expectTypeOf<LockError['heldBy']>().toEqualTypeOf<HeldBy | undefined>()
    expectTypeOf<HeldBy>().toEqualTypeOf<'session' | 'process' | 'other'>()
  })
})

describe('keys', () => {
  it('are plain strings', () => {
    expectTypeOf(formatKey(['a', 'b'])).toEqualTypeOf<string>()
    expectTypeOf(parseKey('/a/b')).toEqualTypeOf<string[]>()
    expectTypeOf(moduleKey('idv', 'user', 'bob')).toEqualTypeOf<string>()
    expectTypeOf(systemKey('runner', 'eu-1')).toEqualTypeOf<string>()
    // @ts-expect-error a key has at least one part
    systemKey()
  })
})
