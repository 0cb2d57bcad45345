import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createLocks, type Locks } from '../../src/index.ts'
import type { Command } from '../../src/protocol/index.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'

let folder: string
let path: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'storelock-'))
  path = join(folder, 'test.db')
})

afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(folder, { recursive: true })
})

const beat: Command = { type: 'beat', session: 'a', client: 'a', lease: 1_000, opens: true }
const request: Command = { type: 'request', key: 'k', session: 'a', client: 'a', number: 1, mode: 'exclusive', confirm: 500 }
const pin = (entity: string): Command => ({ type: 'pin', key: 'k', entity })

describe('a repeated look', () => {
  test('shows the writes of this store, of another store and of another connection', async () => {
    const [one, other] = [sqliteStore(path), sqliteStore(path)]
    const pins = async (): Promise<unknown> => (await one.read('k'))?.pins
    expect(await pins()).toBeUndefined()
    await one.apply([beat, request])
    expect(await pins()).toEqual([])
    for (const [index, store] of [one, other, one, one, other, other].entries()) {
      await store.apply([pin(`${index}`)])
      expect(await pins()).toHaveLength(index + 1)
      expect(await pins()).toHaveLength(index + 1)
    }
    const db = new Database(path)
    db.exec('DELETE FROM storelock_records')
    db.close()
    expect(await one.read('k')).toBeUndefined()
    await Promise.all([one.close(), other.close()])
  })

  test('begins no transaction while nothing has changed', async () => {
    const db = new Database(path)
    const run = vi.spyOn(Object.getPrototypeOf(db.prepare('SELECT 1')) as Database.Statement, 'run')
    // Each driver has its own name for a statement's text.
    const textOf = ({ source, sourceSQL }: Database.Statement & { sourceSQL?: string }): string => source ?? sourceSQL
    const begun = (): number => (run.mock.contexts as Database.Statement[]).filter((statement) => textOf(statement) === 'BEGIN').length
    const store = sqliteStore(db)
    await store.apply([beat, request])
    const first = await store.read('k')
    expect(begun()).toBe(1)
    const reads = await Promise.all([store.read('k'), store.read('k')])
    expect(begun()).toBe(1)
    expect(reads).toEqual([first, first])
    expect(reads[0]).not.toBe(reads[1])
    run.mockRestore()
    await store.close()
    db.close()
  })
})

describe('if processes cannot reach each other', () => {
  /** Passes a lock from one session to another. @returns the warnings */
  async function degraded(): Promise<string[]> {
    const said: string[] = []
    const store = sqliteStore(path)
    store.onDegraded?.((why) => said.push(why ?? 'all is back'))
    const [a, b] = [0, 1].map(() => createLocks({ store, maxBackoff: 20, onWarning: ({ error }) => said.push(error.message) })) as [Locks, Locks]
    const lock = await a.acquire('l')
    const wait = b.acquire('l')
    await lock.release()
    expect((await wait).isHeld()).toBe(true)
    store.onDegraded?.((why) => said.push(why ?? 'all is back'))
    await Promise.all([a.close(), b.close()])
    await store.close()
    return said
  }

  test.each([
    ['that is not writable', '/proc/nowhere', /no hints.*\/proc\/nowhere/],
    ['whose path is too long', `/tmp/${'x'.repeat(80)}`, /no hints.*too long for the path of a socket/],
  ])('because the only directory for sockets is one %s, each listener is told once, and locks work', async (_, directory, why) => {
    vi.stubEnv('TMPDIR', directory)
    vi.stubEnv('XDG_RUNTIME_DIR', undefined)
    const said = await degraded()
    expect(new Set(said).size).toBe(1)
    expect(said).toHaveLength(4)
    expect(said[0]).toMatch(why)
  })

  test('because there can be no folder beside the database, each listener is told once, and locks work', async () => {
    writeFileSync(`${path}-storelock`, 'in the way')
    const said = await degraded()
    expect(new Set(said).size).toBe(1)
    expect(said).toHaveLength(4)
    expect(said[0]).toMatch(/no proofs of death.*-storelock/)
  })

  test('for both reasons, each listener is told each of them once', async () => {
    vi.stubEnv('TMPDIR', '/proc/nowhere')
    vi.stubEnv('XDG_RUNTIME_DIR', undefined)
    writeFileSync(`${path}-storelock`, 'in the way')
    const said = await degraded()
    expect(said).toHaveLength(8)
    expect([...new Set(said)].sort()).toEqual([expect.stringMatching(/^no hints/), expect.stringMatching(/^no proofs of death/)])
  })

  test('because the database has no file, there is no warning', async () => {
    const store = sqliteStore(':memory:')
    expect([store.channel, store.beacon, store.onDegraded]).toEqual([undefined, undefined, undefined])
    await store.close()
  })
})

test.skipIf(process.platform === 'win32')(
  'strangers that flood all sockets with rubbish and hints cannot take a lock or delay a session',
  async () => {
    vi.stubEnv('TMPDIR', folder)
    const warnings: unknown[] = []
    const stores = [sqliteStore(path), sqliteStore(path)]
    const [a, b] = stores.map((store) => createLocks({ store, maxBackoff: 20, onWarning: (warning) => warnings.push(warning) })) as [Locks, Locks]
    const first = await a.acquire('l')
    const second = b.acquire('l')
    const { held, pending } = await a.query('l')
    const hints = Array.from({ length: 1_000 }, (_, sender) =>
      [...held, ...pending].map(({ session }) => `${JSON.stringify([session, `stranger ${sender}`, 1, { key: 'l' }])}\n`).join(''),
    ).join('')
    const sockets = (readdirSync(folder, { recursive: true, encoding: 'utf8' }) as string[]).filter((name) => /-[0-9a-f]{8}$/.test(name))
    expect(sockets.length).toBe(2)
    let written = 0
    const strangers = sockets.flatMap((name) => [hints, 'rubbish\n'].map((text) => floodWith(join(folder, name), text, () => written++)))
    await first.release()
    let lock = await second
    for (let turn = 0; turn < 20; turn++) {
      const [holder, other] = turn % 2 ? [a, b] : [b, a]
      const wait = other.acquire('l')
      expect(await holder.tryAcquire('l', { timeout: 0 })).toBeNull()
      expect(lock.isHeld()).toBe(true)
      await lock.release()
      const next = await wait
      expect(next.token).toBeGreaterThan(lock.token)
      lock = next
    }
    expect(written).toBeGreaterThan(sockets.length)
    expect(warnings).toEqual([])
    for (const stop of strangers) stop()
    await Promise.all([a.close(), b.close()])
    await Promise.all(stores.map((store) => store.close()))
  },
)

/** Writes a text to a socket again and again, and reconnects whenever it is cut off. */
function floodWith(socket: string, text: string, wrote: () => void): () => void {
  let stopped = false
  let stranger: Socket | undefined
  const start = (): void => {
    if (stopped) return
    const made = connect(socket)
    stranger = made
    const write = (): void => {
      if (!made.destroyed) made.write(text, () => setImmediate(write))
      wrote()
    }
    made.on('connect', write).on('error', () => {})
    made.on('close', () => setImmediate(start)).resume()
  }
  start()
  return () => {
    stopped = true
    stranger?.destroy()
  }
}

test('a store in which no lock was taken leaves no other file beside the database', async () => {
  const store = sqliteStore(path)
  await store.read('k')
  await store.close()
  expect(readdirSync(folder)).toEqual(['test.db'])
})
