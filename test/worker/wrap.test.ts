import { describe, expect, test } from 'vitest'
import type { LockError } from '../../src/index.ts'
import { expose } from '../../src/worker/index.ts'
import { duration, errorOf, settle, stateOf, World } from '../locks/world.ts'
import { Page } from './page.ts'

/** A worker with one page. */
const start = () => {
  const world = new World()
  const worker = world.process({ label: 'worker' })
  return { world, worker, page: new Page(world, worker, { label: 'page' }) }
}

describe('a page holds by its worker', () => {
  test('a lock with all that it has', async () => {
    const { world, page } = start()
    const lock = await page.locks.acquire('k', { metadata: { at: 1 } })
    const { name, key, mode, token, previous, dirty, session } = lock
    expect({ name, key, mode, previous, dirty }).toEqual({ name: 'k', key: 'k', mode: 'exclusive', previous: 0, dirty: false })
    expect(lock.isHeld()).toBe(true)
    const { held } = await page.locks.query('k')
    expect(held).toMatchObject([{ name: 'k', token, session, label: 'page', metadata: { at: 1 } }])
    expect(page.locks.session).toBe(session)
    await lock.release()
    expect(await world.holders()).toEqual([])
  })

  test('under a session of its own', async () => {
    const { worker, page } = start()
    const lock = await page.locks.acquire('k')
    expect(lock.session).not.toBe(worker.locks.session)
    expect(await worker.locks.tryAcquire('k')).toBeNull()
  })

  test('for longer than its lease, as long as both run', async () => {
    const { world, page } = start()
    const lock = await page.locks.acquire('k')
    await world.pass(10 * duration)
    expect(lock.isHeld()).toBe(true)
    expect(lock.signal.aborted).toBe(false)
  })

  test('and can write what the lock protects', async () => {
    const { world, page } = start()
    const lock = await page.locks.acquire('k')
    expect(await world.store.transaction(lock, () => 7)).toBe(7)
    await lock.release()
    expect(await errorOf(world.store.transaction(lock, () => 7))).toMatchObject({ code: 'not-held' })
  })
})
