import { describe, expect, test } from 'vitest'
import { createLocks } from '../../src/locks/create.ts'
import type { Locks } from '../../src/locks/types.ts'
import { LockError } from '../../src/protocol/index.ts'
import { serve } from '../../src/server/index.ts'
import { httpStore } from '../../src/stores/http.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { errorOf, stateOf, World } from '../locks/world.ts'
import { atEnd } from '../server/world.ts'

interface Slow {
  readonly locks: Locks
  /** Drops the answers to this many more beats and lock requests. The server still gets them. */
  silence(count: number): void
  /** How many of them the client has given up. */
  readonly late: number
}

/** A client of a lock server that is slow at times, as on a busy machine. */
async function slowly(duration: number): Promise<Slow> {
  const server = atEnd(await serve(memoryStore()))
  let silent = 0
  let late = 0
  const slow: typeof fetch = async (input, init) => {
    const answer = await fetch(input, init)
    if (silent === 0 || !/"type":"(request|beat)"/.test(String(init?.body))) return answer
    silent -= 1
    return new Promise((_, reject) => {
      init?.signal?.addEventListener('abort', () => {
        late += 1
        reject(init?.signal?.reason)
      })
    })
  }
  const store = atEnd(httpStore(server.url, { fetch: slow, timeout: 100 }))
  return {
    locks: atEnd(createLocks({ store, duration })),
    silence(count) {
      silent = count
    },
    get late() {
      return late
    },
  }
}

describe('with a lock server that is too slow to answer in time', () => {
  test('opening a session and requesting a lock are retried and succeed', async () => {
    const slow = await slowly(60_000)
    slow.silence(3)
    const first = await slow.locks.acquire('k')
    expect([first.isHeld(), slow.late]).toEqual([true, 3])
    slow.silence(2)
    const other = await slow.locks.acquire('other')
    expect([other.isHeld(), slow.late]).toEqual([true, 5])
  })

  test('a retry leaves nothing of the unanswered request behind', async () => {
    const slow = await slowly(5_000)
    const first = await slow.locks.acquire('k')
    slow.silence(2)
    const next = slow.locks.acquire('k')
    const last = slow.locks.acquire('k')
    await first.release()
    await (await next).release()
    await (await last).release()
    expect(await slow.locks.query('k')).toMatchObject({ held: [], pending: [] })
    expect(slow.late).toBe(2)
  })

  test('a request that does not wait fails at once', async () => {
    const slow = await slowly(60_000)
    await slow.locks.acquire('other')
    for (const refused of [
      () => slow.locks.acquire('k', { timeout: 0 }),
      () => slow.locks.tryAcquire('k'),
      () => slow.locks.request('k', { ifAvailable: true }, () => {}),
    ]) {
      slow.silence(1)
      await expect(refused()).rejects.toMatchObject({ code: 'store', message: expect.stringContaining('did not answer within 100 ms') })
    }
  })

  test('a wait outlasts a server that is slow for longer than a lease', async () => {
    const slow = await slowly(600)
    slow.silence(12)
    const lock = await slow.locks.acquire('k')
    expect([lock.isHeld(), slow.late]).toEqual([true, 12])
  })

  test('a wait fails once the server has been slow for two minutes', async () => {
    const world = new World()
    const late = (): Promise<never> => Promise.reject(new LockError('store', 'late', { cause: new DOMException('late', 'TimeoutError') }))
    await world.process().locks.acquire('k')
    const waiting = errorOf(world.process({ store: { ...world.store, read: late, rows: late } }).locks.acquire('k'))
    await world.pass(115_000)
    expect(await stateOf(waiting)).toBe('pending')
    await world.pass(10_000)
    expect(await waiting).toMatchObject({ code: 'store', message: 'late' })
  })
})
