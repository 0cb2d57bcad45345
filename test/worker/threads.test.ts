import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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

describe('a thread that keeps locks in SQLite', () => {
  test('holds for the main thread what others then wait for, and lets it write', async () => {
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

  test('that ends loses what the main thread holds, and says so', async () => {
    const locks = wrap(worker)
    const lock = await locks.acquire('k')
    const wait = errorOf(locks.acquire('k'))
    const aborted = new Promise((resolve) => lock.signal.addEventListener('abort', resolve))
    await worker.terminate()
    await aborted
    expect(lock.signal.reason).toMatchObject({ code: 'lost' })
    expect(await wait).toMatchObject({ code: 'store', message: 'the worker has ended' })
  })

  test('also keeps them for a port, and lets go when that closes', async () => {
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

  test('shows by a beacon of the main thread that this lives, where it has one', async () => {
    const store = sqliteStore(file)
    const locks = wrap(worker, { beacon: store.beacon })
    const lock = await locks.acquire('k')
    const sessions = (await store.read('k'))?.sessions
    expect(sessions?.[lock.session]?.beacon).toEqual(expect.any(String))
    await locks.close()
    await store.close()
  })
})
