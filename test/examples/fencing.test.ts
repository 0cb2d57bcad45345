import { EventEmitter, once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLocks } from 'storelock'
import { memoryStore } from 'storelock/stores/memory'
import { manualClock } from 'storelock/testing'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { change } from './file-client.ts'
import { fileServer } from './file-server.ts'

describe('the file server', () => {
  let folder: string
  let server: Server
  let url: string
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'storelock-files-'))
    await start()
  })
  afterEach(async () => {
    vi.restoreAllMocks()
    await stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const start = async (): Promise<void> => {
    server = fileServer(folder).listen(0, '127.0.0.1')
    await once(server, 'listening')
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }
  const stop = async (): Promise<void> => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }

  /** @returns the status and the text */
  const ask = async (token: number, method = 'GET', body: string | null = null): Promise<[number, string]> => {
    const response = await fetch(`${url}/notes`, { method, body, headers: { 'fencing-token': String(token) } })
    return [response.status, await response.text()]
  }

  test('keeps the writes of two clients that take turns', async () => {
    const store = memoryStore()
    const [a, b] = [createLocks({ store }), createLocks({ store })]
    await Promise.all([change(a, url, 'notes', (text) => `${text}a`), change(b, url, 'notes', (text) => `${text}b`)])
    expect(await ask(Number.MAX_SAFE_INTEGER)).toEqual([200, 'ab'])
    await Promise.all([a.close(), b.close()])
  })

  test('refuses the late write of a client that was stopped between its check and its write', async () => {
    // The process of `a` is stopped: its clock stands still, and it gets no messages. Time goes on for the store and for `b`.
    const stopped = manualClock()
    const running = manualClock()
    const store = memoryStore({ now: running.now })
    const a = createLocks({ store: { ...store, channel: undefined }, clock: stopped })
    const b = createLocks({ store, clock: running })

    const pause = new EventEmitter()
    const reached = once(pause, 'reached')
    const resumed = once(pause, 'resumed')
    const really = fetch
    vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
      if (init?.body === 'from a') {
        pause.emit('reached')
        await resumed
      }
      return really(input, init)
    })

    const late = change(a, url, 'notes', () => 'from a')
    await reached
    const next = change(b, url, 'notes', (text) => `${text}from b`)
    await running.advance(20_000)
    await next
    expect((await b.query('notes')).held).toEqual([])

    pause.emit('resumed')
    await expect(late).rejects.toThrow(/^refused with 409: token \d+ is older than \d+$/)
    expect(await ask(Number.MAX_SAFE_INTEGER)).toEqual([200, 'from b'])
    await Promise.all([a.close(), b.close()])
  })

  test('refuses a write that is older than a read', async () => {
    expect(await ask(1, 'PUT', 'one')).toEqual([200, 'one'])
    expect(await ask(2)).toEqual([200, 'one'])
    expect(await ask(1, 'PUT', 'late')).toEqual([409, 'token 1 is older than 2'])
    expect(await ask(2)).toEqual([200, 'one'])
  })

  test('lets shared holders read in any order, and refuses writes of earlier holders', async () => {
    await ask(1, 'PUT', 'one')
    expect(await ask(4)).toEqual([200, 'one'])
    expect(await ask(3)).toEqual([200, 'one'])
    expect(await ask(2, 'PUT', 'late')).toEqual([409, 'token 2 is older than 4'])
    expect(await ask(5, 'PUT', 'five')).toEqual([200, 'five'])
  })

  test('accepts any number of writes under one token', async () => {
    await ask(7, 'PUT', 'one')
    expect(await ask(7, 'PUT', 'two')).toEqual([200, 'two'])
  })

  test('remembers the highest token when it starts again', async () => {
    await ask(7, 'PUT', 'seven')
    await stop()
    await start()
    expect(await ask(6, 'PUT', 'six')).toEqual([409, 'token 6 is older than 7'])
    expect(await ask(7)).toEqual([200, 'seven'])
  })

  test('keeps nothing of a write that is cut off', async () => {
    await ask(7, 'PUT', 'seven')
    const arrived = once(server, 'request')
    const broken = request(`${url}/notes`, { method: 'PUT', headers: { 'fencing-token': '8', 'content-length': '5' } })
    broken.on('error', () => {}).write('ei')
    const [, response] = await arrived
    const cut = once(response, 'close')
    broken.destroy()
    await cut
    expect(await ask(7)).toEqual([200, 'seven'])
  })

  test('refuses requests without a token', async () => {
    expect((await fetch(`${url}/notes`)).status).toBe(400)
    expect((await ask(Number.NaN))[0]).toBe(400)
  })
})
