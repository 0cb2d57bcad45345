import { EventEmitter, once } from 'node:events'
import { createLocks, type Locks } from 'storelock'
import { memoryStore } from 'storelock/stores/memory'
import { manualClock } from 'storelock/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { update } from './fenced-put.ts'
import { type ObjectServer, startObjectServer } from './object-server.ts'

let server: ObjectServer
beforeEach(async () => {
  server = await startObjectServer()
})
afterEach(() => server.close())

const add =
  (item: string) =>
  (list: readonly string[] = []): string[] => [...list, item]

const get = async (): Promise<string[]> => (await (await fetch(`${server.url}/list`)).json()).value

const change = (locks: Locks, item: string, send?: typeof fetch): Promise<string[]> =>
  locks.request('list', (lock) => update<string[]>(`${server.url}/list`, lock, add(item), send))

/** A `fetch` that stops before its first PUT until it is resumed. */
function stopping(): { readonly send: typeof fetch; readonly reached: Promise<unknown>; resume(): void } {
  const pause = new EventEmitter()
  const reached = once(pause, 'reached')
  const resumed = once(pause, 'resumed')
  let stopped = false
  const send: typeof fetch = async (input, init) => {
    if (init?.method === 'PUT' && !stopped) {
      stopped = true
      pause.emit('reached')
      await resumed
    }
    return fetch(input, init)
  }
  return { send, reached, resume: () => pause.emit('resumed') }
}

/** Two clients of one store. The process of the first one is stopped, so its time stands still; time goes on for the other. */
function twoClients(): { readonly a: Locks; readonly b: Locks; readonly running: ReturnType<typeof manualClock>; close(): Promise<unknown> } {
  const running = manualClock()
  const store = memoryStore({ now: running.now })
  const a = createLocks({ store: { ...store, channel: undefined }, clock: manualClock() })
  const b = createLocks({ store, clock: running })
  return { a, b, running, close: () => Promise.all([a.close(), b.close()]) }
}

describe('the recipe for a fenced write to a bucket', () => {
  test('keeps the changes of clients that take turns, the first of which creates the object', async () => {
    const store = memoryStore()
    const clients = [createLocks({ store }), createLocks({ store }), createLocks({ store })]
    await Promise.all(clients.map((locks, index) => change(locks, `${index}`)))
    expect((await get()).toSorted()).toEqual(['0', '1', '2'])
    await Promise.all(clients.map((locks) => locks.close()))
  })

  test('refuses the late write of a client that was stopped, once the next holder has written', async () => {
    const { a, b, running, close } = twoClients()
    const { send, reached, resume } = stopping()
    const late = change(a, 'a', send)
    await reached
    const next = change(b, 'b')
    await running.advance(20_000)
    await next
    resume()
    await expect(late).rejects.toThrow(/was written with token \d+; this lock has \d+ and is lost/)
    expect(await get()).toEqual(['b'])
    await close()
  })

  test('loses no change if the late write comes between the read and the write of the next holder', async () => {
    const { a, b, running, close } = twoClients()
    const first = stopping()
    const second = stopping()
    const late = change(a, 'a', first.send)
    await first.reached
    const next = change(b, 'b', second.send)
    await running.advance(20_000)
    await second.reached
    first.resume()
    await late
    second.resume()
    expect(await next).toEqual(['a', 'b'])
    expect(server.answered.filter((line) => line.startsWith('PUT'))).toEqual(['PUT 200', 'PUT 412', 'PUT 200'])
    await close()
  })

  test('changes the ETag even if the value stays the same', async () => {
    const locks = createLocks({ store: memoryStore() })
    const etag = async () => (await fetch(`${server.url}/list`)).headers.get('etag')
    const same = () => locks.request('list', (lock) => update<string[]>(`${server.url}/list`, lock, (list = []) => list))
    await same()
    const before = await etag()
    await same()
    expect(await etag()).not.toBe(before)
    await locks.close()
  })

  test('tries again if the bucket reports a concurrent write, and passes on any other refusal', async () => {
    const locks = createLocks({ store: memoryStore() })
    const refusing =
      (...statuses: number[]): typeof fetch =>
      async (input, init) => {
        const status = init?.method === 'PUT' ? statuses.shift() : undefined
        return status ? new Response(null, { status }) : fetch(input, init)
      }
    expect(await change(locks, 'one', refusing(409))).toEqual(['one'])
    await expect(change(locks, 'two', refusing(403))).rejects.toThrow(/PUT .*: 403/)
    expect(await get()).toEqual(['one'])
    await locks.close()
  })
})
