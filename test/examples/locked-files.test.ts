import { EventEmitter, once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLocks, type Locks } from 'storelock'
import { type LockServer, serve } from 'storelock/server'
import { type HttpStore, httpStore } from 'storelock/stores/http'
import { memoryStore } from 'storelock/stores/memory'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { fileServer } from './file-server.ts'
import { edit } from './locked-edit.ts'
import { lockedFiles, verifyAt } from './locked-files.ts'

let folder: string
let server: LockServer
let files: Server
let url: string
let store: HttpStore
let locks: Locks

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'storelock-files-'))
  server = await serve(memoryStore())
  files = lockedFiles(fileServer(folder), verifyAt(server.url), 'null').listen(0, '127.0.0.1')
  await once(files, 'listening')
  url = `http://127.0.0.1:${(files.address() as AddressInfo).port}`
  store = httpStore(server.url)
  locks = createLocks({ store })
})

afterEach(async () => {
  await locks.close()
  await store.close()
  files.closeAllConnections()
  files.close()
  await server.close()
  rmSync(folder, { recursive: true, force: true })
})

/** @returns the status and the text */
async function ask(lockToken: string, name = 'notes', method = 'GET', body: string | null = null): Promise<[number, string]> {
  const response = await fetch(`${url}/${name}`, { method, body, headers: { 'lock-token': lockToken } })
  return [response.status, await response.text()]
}

test('L4: the holder of its lock can use a file', async () => {
  await edit(locks, store, url, 'notes', (text) => `${text}a`)
  await edit(locks, store, url, 'notes', (text) => `${text}b`)
  await using lock = await locks.acquire('notes')
  expect(await ask(store.lockToken(lock))).toEqual([200, 'ab'])
})

test('L4: a client gets nothing with no lock, a lost lock, or the lock of another file', async () => {
  const lock = await locks.acquire('notes')
  const lockToken = store.lockToken(lock)
  expect(await ask('')).toEqual([401, 'which lockToken?'])
  expect(await ask(lockToken.replace(/.$/, (last) => (last === 'A' ? 'E' : 'A')))).toEqual([403, 'forged'])
  expect(await ask(lockToken, 'other')).toEqual([403, 'forged'])
  await lock.release()
  expect(await ask(lockToken, 'notes', 'PUT', 'late')).toEqual([403, 'not-held'])
})

test('L4: shared holders can read and not write', async () => {
  await edit(locks, store, url, 'notes', () => 'a')
  await using lock = await locks.acquire('notes', { mode: 'shared' })
  expect(await ask(store.lockToken(lock))).toEqual([200, 'a'])
  expect((await ask(store.lockToken(lock), 'notes', 'PUT', 'b'))[0]).toBe(403)
})

test('L4: a write that arrived while its lock was held is refused once the next holder has read', async () => {
  const late = await locks.acquire('notes')
  const verify = verifyAt(server.url)
  const pause = new EventEmitter()
  const [reached, resumed] = [once(pause, 'reached'), once(pause, 'resumed')]
  const slow = lockedFiles(
    fileServer(folder),
    async (key, lockToken) => {
      const verified = await verify(key, lockToken)
      pause.emit('reached')
      await resumed
      return verified
    },
    'null',
  ).listen(0, '127.0.0.1')
  await once(slow, 'listening')
  const headers = { 'lock-token': store.lockToken(late) }
  const writing = fetch(`http://127.0.0.1:${(slow.address() as AddressInfo).port}/notes`, { method: 'PUT', body: 'late', headers })
  await reached
  await late.release()
  await edit(locks, store, url, 'notes', (text) => `${text}b`)
  pause.emit('resumed')
  expect((await writing).status).toBe(409)
  await using lock = await locks.acquire('notes')
  expect(await ask(store.lockToken(lock))).toEqual([200, 'b'])
  slow.closeAllConnections()
  slow.close()
})

test('while the lock server does not answer, no client is let in', async () => {
  const lock = await locks.acquire('notes')
  const lockToken = store.lockToken(lock)
  await server.close()
  await expect(ask(lockToken)).rejects.toThrow()
})
