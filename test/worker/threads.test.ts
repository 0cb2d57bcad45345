import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { MessageChannel, Worker } from 'node:worker_threads'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createLocks } from '../../src/index.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { wrap } from '../../src/worker/index.ts'
import { errorOf } from '../locks/world.ts'

let folder: string
let file: string
let worker: Worker

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'storelock-worker-'))
  file = join(folder, 'app.db')
  const [tsx, program] = [import.meta.resolve('tsx/esm/api'), new URL('thread.ts', import.meta.url).href]
  const code = `import { register } from ${JSON.stringify(tsx)}; register(); await import(${JSON.stringify(program)})`
  worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), { workerData: { file } })
})

afterEach(async () => {
  await worker.terminate()
  rmSync(folder, { recursive: true, force: true })
})

describe('a thread that holds a lock in SQLite and is terminated', () => {
  const tsx = import.meta.resolve('tsx/esm/api')
  const program = new URL('holder.ts', import.meta.url).href
  const started: Worker[] = []

  afterEach(async () => {
    for (const thread of started.splice(0)) await thread.terminate()
  })

  const hold = async (name: string): Promise<Worker> => {
    const code = `import { register } from ${JSON.stringify(tsx)}; register(); await import(${JSON.stringify(program)})`
    const thread = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), { workerData: { file, name } })
    started.push(thread)
    await once(thread, 'message')
    return thread
  }

  test.runIf(process.platform === 'linux')('frees the lock at once for its own process, for waiters and for calls that do not wait', async () => {
    const [first, second] = [await hold('k'), await hold('l')]
    const locks = createLocks({ store: sqliteStore(file), duration: 60_000, maxBackoff: 60_000 })
    const wait = locks.acquire('k')
    expect(await locks.tryAcquire('l', { timeout: 0 })).toBeNull()
    await Promise.all([first.terminate(), second.terminate()])
    expect((await locks.tryAcquire('l', { timeout: 0 }))?.isHeld()).toBe(true)
    // Without a proof of death this would take longer than the test's timeout.
    expect((await wait).isHeld()).toBe(true)
    await locks.close()
  })

  test('leaves other threads of its process their locks and their beacons', async () => {
    const [ended, other] = [await hold('k'), await hold('l')]
    const store = sqliteStore(file)
    const locks = createLocks({ store, duration: 60_000 })
    const mine = await locks.acquire('m')
    await ended.terminate()
    await locks.tryAcquire('k', { timeout: 0 })
    const addressOf = async (name: string): Promise<string | undefined> => [...((await store.read(name))?.sessions.values() ?? [])][0]?.beacon
    const addresses = [await addressOf('l'), await addressOf('m')]
    expect(mine.isHeld()).toBe(true)
    // Another process sees that their sidecar files are still locked.
    const look = `
      import Database from 'better-sqlite3'
      for (const address of ${JSON.stringify(addresses)}) {
        const db = new Database(${JSON.stringify(`${file}-storelock/`)} + address.split(':')[0])
        try { db.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE'); console.log('free') } catch (error) { console.log(error.message) }
      }`
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', look])
    expect(stdout.trim().split('\n')).toEqual(['database is locked', 'database is locked'])
    await other.terminate()
    await locks.close()
    await store.close()
  })
})

describe('a thread that keeps locks in SQLite', () => {
  test('holds a lock for the main thread while other sessions wait, and lets it make fenced writes', async () => {
    const db = new Database(file)
    db.exec('CREATE TABLE notes (text)')
    const store = sqliteStore(db)
    const others = createLocks({ store })
    const locks = wrap(worker)
    const { next } = await locks.request('k', async (lock) => {
      await store.transaction(lock as never, () => db.prepare('INSERT INTO notes VALUES (?)').run('held'))
      expect(await others.tryAcquire('k')).toBeNull()
      return { next: others.acquire('k') }
    })
    expect((await next).isHeld()).toBe(true)
    expect(db.prepare('SELECT text FROM notes').pluck().all()).toEqual(['held'])
    await Promise.all([locks.close(), others.close()])
    await store.close()
    db.close()
  })

  test('loses the main thread’s locks when it ends, with an error', async () => {
    const locks = wrap(worker)
    const lock = await locks.acquire('k')
    const wait = errorOf(locks.acquire('k'))
    const aborted = new Promise((resolve) => lock.signal.addEventListener('abort', resolve))
    await worker.terminate()
    await aborted
    expect(lock.signal.reason).toMatchObject({ code: 'lost' })
    expect(await wait).toMatchObject({ code: 'store', message: 'the worker has ended' })
  })

  test('also keeps locks for a port, and releases them when the port closes', async () => {
    const other = createLocks({ store: sqliteStore(file) })
    const { port1, port2 } = new MessageChannel()
    worker.postMessage({ port: port2 }, [port2])
    const lock = await wrap(port1).acquire('k')
    const next = other.acquire('k')
    expect(lock.isHeld()).toBe(true)
    port1.close()
    expect((await next).isHeld()).toBe(true)
    expect(lock.isHeld()).toBe(false)
    await other.close()
  })

  test('uses the main thread’s beacon for its session, if it has one', async () => {
    const store = sqliteStore(file)
    const locks = wrap(worker, { beacon: store.beacon })
    const lock = await locks.acquire('k')
    const sessions = (await store.read('k'))?.sessions
    expect(sessions?.get(lock.session)?.beacon).toEqual(expect.any(String))
    await locks.close()
    await store.close()
  })
})
