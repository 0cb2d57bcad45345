import { createLocks } from 'storelock'
import { memoryStore } from 'storelock/stores/memory'
import { describe, expect, test } from 'vitest'
import { errorOf, settle, stateOf, World } from './world.ts'

describe('a signal', () => {
  test('can be given to any number of calls without a leak warning, and keeps no listener', async () => {
    const warnings: Error[] = []
    const warned = (warning: Error): unknown => warnings.push(warning)
    process.on('warning', warned)
    const locks = createLocks({ store: memoryStore() })
    const lock = await locks.acquire('k')
    const stop = new AbortController()
    const { signal } = stop
    const waits = Array.from({ length: 20 }, () => [
      locks.acquire('k', { signal }),
      locks.request('k', { signal }, () => {}),
      locks.whenFree('k', { signal }),
    ])
    const reasons = waits.flat().map(errorOf)
    await settle()
    stop.abort('enough')
    expect(new Set(await Promise.all(reasons))).toEqual(new Set(['enough']))
    await lock.release()
    await settle()
    process.off('warning', warned)
    expect(warnings).toEqual([])
    await locks.close()
  })

  test('cancels nothing when a script only dispatches an `abort` event on it', async () => {
    const world = new World()
    const { locks } = world.process()
    const lock = await locks.acquire('k')
    const stop = new AbortController()
    const wait = locks.acquire('k', { signal: stop.signal })
    stop.signal.dispatchEvent(new Event('abort'))
    expect(await stateOf(wait)).toBe('pending')
    stop.abort('enough')
    expect(await errorOf(wait)).toBe('enough')
    await lock.release()
  })
})
