import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { type Server as HttpServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FileStore } from '@tus/file-store'
import { ERRORS, Server } from '@tus/server'
import { createLocks, type Locks } from 'storelock'
import { memoryStore } from 'storelock/stores/memory'
import { sqliteStore } from 'storelock/stores/sqlite'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { tusLocker } from './tus-locker.ts'

const { signal } = new AbortController()

describe('the lock of an upload', () => {
  let locks: Locks
  beforeEach(() => {
    locks = createLocks({ store: memoryStore() })
  })
  afterEach(() => locks.close())

  test('can be acquired again after its release', async () => {
    const locker = tusLocker(locks)
    for (const lock of [locker.newLock('7'), locker.newLock('7')]) {
      await lock.lock(signal, () => {})
      await lock.unlock()
    }
  })

  test('is asked for once, and goes to the second request as soon as the first one has released it', async () => {
    const locker = tusLocker(locks)
    const [first, second] = [locker.newLock('7'), locker.newLock('7')]
    const asked = vi.fn(() => void first.unlock())
    const never = vi.fn()
    await first.lock(signal, asked)
    await second.lock(signal, never)
    await second.unlock()
    expect([asked.mock.calls.length, never.mock.calls.length]).toEqual([1, 0])
  })

  test('is refused with a timeout while its holder does not release it', async () => {
    const locker = tusLocker(locks, { timeout: 50 })
    const holder = locker.newLock('7')
    await holder.lock(signal, () => {})
    await expect(locker.newLock('7').lock(signal, () => {})).rejects.toBe(ERRORS.ERR_LOCK_TIMEOUT)
    await holder.unlock()
  })

  test('is no longer waited for when the request ends', async () => {
    const locker = tusLocker(locks)
    const holder = locker.newLock('7')
    await holder.lock(signal, () => {})
    const ended = new AbortController()
    const wait = locker.newLock('7').lock(ended.signal, () => {})
    ended.abort()
    await expect(wait).rejects.toBe(ERRORS.ERR_LOCK_TIMEOUT)
    expect((await locks.query('upload 7')).pending).toEqual([])
    await holder.unlock()
  })

  test('cannot be released by a request that does not hold it', async () => {
    await expect(tusLocker(locks).newLock('7').unlock()).rejects.toThrow(/unlocked lock/)
  })

  test('stops its request when it is lost', async () => {
    const lock = tusLocker(locks).newLock('7')
    const stopped = new Promise<void>((resolve) => void lock.lock(signal, resolve))
    while (!(await locks.query('upload 7')).held.length);
    await locks.revoke('upload 7')
    await stopped
    await lock.unlock()
  })
})

describe('two tus servers on one folder', () => {
  const whole = 'what the client has to send'
  let folder: string
  let servers: HttpServer[]
  let locks: Locks[]
  let urls: string[]

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'storelock-tus-'))
    locks = [1, 2].map(() => createLocks({ store: sqliteStore(join(folder, 'locks.db')) }))
    servers = locks.map((locks) =>
      new Server({ path: '/files', datastore: new FileStore({ directory: join(folder, 'files') }), locker: tusLocker(locks) }).listen({
        host: '127.0.0.1',
        port: 0,
      }),
    )
    for (const server of servers) if (!server.listening) await once(server, 'listening')
    urls = servers.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  })
  afterEach(async () => {
    for (const server of servers) {
      server.closeAllConnections()
      server.close()
    }
    await Promise.all(locks.map((locks) => locks.close()))
    rmSync(folder, { recursive: true, force: true })
  })

  const tus = { 'tus-resumable': '1.0.0' }
  const patch = (offset: number) => ({ ...tus, 'content-type': 'application/offset+octet-stream', 'upload-offset': `${offset}` })

  /** Makes an upload. @returns its path */
  async function create(): Promise<string> {
    const made = await fetch(`${urls[0]}/files`, { method: 'POST', headers: { ...tus, 'upload-length': `${whole.length}` } })
    return new URL(made.headers.get('location') ?? '').pathname
  }

  test('let the newest request continue an upload from the point that the hung request has reached', async () => {
    const path = await create()
    const file = join(folder, path)
    const hanging = request(`${urls[0]}${path}`, { method: 'PATCH', headers: { ...patch(0), 'content-length': `${whole.length}` } })
    const ended = once(hanging, 'close')
    hanging.on('error', () => {})
    // The rest never comes: the client's connection broke, and the server has not noticed.
    hanging.write(whole.slice(0, 10))
    while (statSync(file).size < 10) await new Promise(setImmediate)

    const head = await fetch(`${urls[1]}${path}`, { method: 'HEAD', headers: tus })
    expect([head.status, head.headers.get('upload-offset')]).toEqual([200, '10'])
    const rest = await fetch(`${urls[1]}${path}`, { method: 'PATCH', headers: patch(10), body: whole.slice(10) })
    expect([rest.status, rest.headers.get('upload-offset')]).toEqual([204, `${whole.length}`])
    expect(readFileSync(file, 'utf8')).toBe(whole)
    hanging.destroy()
    await ended
  })
})
