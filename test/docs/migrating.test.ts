import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { GoTrueClient } from '@supabase/auth-js'
import { Redis } from 'ioredis'
import { createLocks, type Locks } from 'storelock'
import { memoryStore } from 'storelock/stores/memory'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { lendRedis } from '../servers/redis.ts'

type Guarded = (work: () => Promise<void>) => Promise<unknown>

/** Starts all of these at once. @returns how many of them were inside at the same time, at most */
async function mostInside(guarded: readonly Guarded[]): Promise<number> {
  let [inside, most] = [0, 0]
  const work = async (): Promise<void> => {
    most = Math.max(most, ++inside)
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
    inside--
  }
  await Promise.all(guarded.map((run) => run(work)))
  return most
}

const times = (count: number, guarded: Guarded): Guarded[] => Array.from({ length: count }, () => guarded)

describe('moving from other locks', () => {
  const before = process.cwd()
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'storelock-migrating-'))
    process.chdir(folder)
    writeFileSync('report.json', '{}')
  })
  afterAll(() => {
    process.chdir(before)
    rmSync(folder, { recursive: true, force: true })
  })

  describe.each(['before', 'after'] as const)('async-mutex, %s', (when) => {
    test('lets in one at a time, or three', async () => {
      const { save, saveByHand, download } = await import(`./migrating/async-mutex.${when}.ts`)
      expect(await mostInside([...times(3, save), ...times(3, saveByHand)])).toBe(1)
      expect(await mostInside(times(9, download))).toBe(3)
    })
  })

  describe.each(['before', 'after'] as const)('proper-lockfile, %s', (when) => {
    test('lets in one at a time, and says when the lock is taken', async () => {
      const { report, tryReport } = await import(`./migrating/proper-lockfile.${when}.ts`)
      expect(await mostInside(times(3, report))).toBe(1)
      expect(await tryReport(async () => expect(await tryReport(async () => {})).toBe(false))).toBe(true)
    })
  })

  describe.each(['before', 'after'] as const)('redlock, %s', (when) => {
    test('lets in one at a time of all clients of one Redis', async () => {
      const server = await lendRedis()
      const clients = [new Redis(server.url), new Redis(server.url)]
      const { makeReport } = await import(`./migrating/redlock.${when}.ts`)
      expect(await mostInside(clients.map((redis) => makeReport(redis)))).toBe(1)
      for (const client of clients) client.disconnect()
      await server.remove()
    })
  })

  describe('the lock of supabase', () => {
    const url = 'http://127.0.0.1:9'
    const name = 'lock:app-session'
    const lockOf = (auth: GoTrueClient): ((name: string, wait: number, work: () => Promise<unknown>) => Promise<unknown>) => Reflect.get(auth, 'lock')

    async function withAuth(use: (auth: GoTrueClient, other: Locks) => Promise<void>): Promise<void> {
      const store = memoryStore()
      const [locks, other] = [createLocks({ store }), createLocks({ store })]
      const { makeAuth } = await import('./migrating/supabase.after.ts')
      const auth = makeAuth(url, locks)
      await use(auth, other)
      await auth.stopAutoRefresh()
      // The client may have started requests by itself. This one comes after them.
      await locks.request(name, async () => {})
      await Promise.all([locks.close(), other.close()])
    }

    test('is held while the client reads its session', () =>
      withAuth(async (auth, other) => {
        expect((await auth.getSession()).data.session).toBeNull()
        const held = await other.acquire(name)
        const reading = auth.getSession()
        const pending = async (): Promise<number> => (await other.query(name)).pending.length
        while (!(await pending())) await new Promise(setImmediate)
        await held.release()
        expect((await reading).data.session).toBeNull()
      }))

    test('fails as the client expects when the lock is not free', () =>
      withAuth(async (auth, other) => {
        const { NavigatorLockAcquireTimeoutError } = await import('@supabase/auth-js')
        const lock = lockOf(auth)
        await other.request(name, async () => {
          await expect(lock(name, 0, async () => {})).rejects.toBeInstanceOf(NavigatorLockAcquireTimeoutError)
          await expect(lock(name, 1, async () => {})).rejects.toBeInstanceOf(NavigatorLockAcquireTimeoutError)
        })
        expect(await lock(name, -1, async () => 'in')).toBe('in')
      }))

    test('is navigatorLock before the migration', async () => {
      const [{ makeAuth }, { navigatorLock }] = await Promise.all([import('./migrating/supabase.before.ts'), import('@supabase/auth-js')])
      expect(lockOf(makeAuth(url))).toBe(navigatorLock)
    })
  })
})
