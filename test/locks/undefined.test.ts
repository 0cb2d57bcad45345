import { createLocks } from 'storelock'
import { etcdStore } from 'storelock/stores/etcd'
import { httpStore } from 'storelock/stores/http'
import { memoryStore } from 'storelock/stores/memory'
import { redisStore } from 'storelock/stores/redis'
import { sqliteStore } from 'storelock/stores/sqlite'
import { manualClock } from 'storelock/testing'
import { wrap } from 'storelock/worker'
import { describe, expect, test } from 'vitest'
import { checkSettings, checkWish } from '../../src/locks/options.ts'
import { limitDefaults, limitsOf } from '../../src/server/options.ts'
import { World } from './world.ts'

// An option that is `undefined` counts as left out.

const store = memoryStore()
const noSettings = {
  duration: undefined,
  maxBackoff: undefined,
  linger: undefined,
  maxHold: undefined,
  deadlock: undefined,
  label: undefined,
  namespace: undefined,
  policy: undefined,
  expiry: undefined,
  onWarning: undefined,
  observe: undefined,
  clock: undefined,
}
const noWish = {
  mode: undefined,
  limit: undefined,
  timeout: undefined,
  signal: undefined,
  duration: undefined,
  maxHold: undefined,
  ifNoQueue: undefined,
  renew: undefined,
  steal: undefined,
  metadata: undefined,
  ask: undefined,
  grace: undefined,
  onReleaseRequested: undefined,
}

/** Settings without the member that is a new function each time. */
const comparable = ({ onWarning: _, ...settings }: ReturnType<typeof checkSettings>) => settings

describe('undefined options count as left out', () => {
  test('of createLocks', async () => {
    expect(comparable(checkSettings({ store, ...noSettings }))).toEqual(comparable(checkSettings({ store })))
    const locks = createLocks({ store, ...noSettings })
    await (await locks.acquire('k', noWish)).release()
    await locks.close()
  })

  test('of a request', () => {
    const settings = checkSettings({ store })
    expect(checkWish(settings, noWish)).toEqual(checkWish(settings, {}))
  })

  test('of every call', async () => {
    const { locks } = new World().process()
    const { signal: _, ask: __, grace: ___, ifNoQueue: ____, ...noTry } = noWish
    expect(
      await locks.request('k', { ...noTry, ifAvailable: undefined, ifNoQueue: undefined, ask: undefined, grace: undefined }, (lock) => lock.mode),
    ).toBe('exclusive')
    expect((await locks.tryAcquire('k', noTry))?.isHeld()).toBe(true)
    await locks.revoke('k', undefined)
    await locks.whenFree('k', { signal: undefined })
    const shared = locks.reentrant('s', { duration: undefined, metadata: undefined, maxHold: undefined })
    await (await shared.acquire({ timeout: undefined, signal: undefined })).release()
    await (await shared.tryAcquire({ timeout: undefined }))?.release()
    expect(await locks.sweep({ olderThan: undefined })).toBeGreaterThan(0)
    expect((await locks.query(undefined)).held).toEqual([])
  })

  test('of stores', async () => {
    const stores = [
      memoryStore({ now: undefined }),
      sqliteStore(':memory:', { now: undefined, open: undefined }),
      httpStore('http://127.0.0.1:9', { token: undefined, timeout: undefined, fetch: undefined, client: undefined }),
      redisStore('redis://127.0.0.1:9', { prefix: undefined, timeout: undefined, durability: undefined }),
      etcdStore('http://127.0.0.1:9', { prefix: undefined, timeout: undefined, username: undefined, password: undefined, fetch: undefined }),
    ]
    for (const each of stores) await each.close()
    expect(manualClock({ start: undefined, random: undefined }).now()).toBe(manualClock().now())
  })

  test('of a worker’s page', async () => {
    const { port1 } = new MessageChannel()
    const locks = wrap(port1, { label: undefined, maxSilence: undefined, onWarning: undefined, beacon: undefined, clock: undefined })
    await locks.close()
    port1.close()
  })

  test('of a lock server’s limits', () => {
    expect(limitsOf({ rate: undefined, body: 2_000 })).toEqual({ ...limitDefaults, body: 2_000 })
  })
})
