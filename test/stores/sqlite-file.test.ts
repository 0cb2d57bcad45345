import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, linkSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Worker } from 'node:worker_threads'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createLocks, type HeldLock, type LockError } from '../../src/index.ts'
import { pathFault } from '../../src/stores/sqlite/file.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { driverPath, openInAnotherCopy } from './another-copy.ts'

let folder: string
let path: string
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'storelock-')))
  path = join(folder, 'app.db')
})
afterEach(() => rmSync(folder, { recursive: true }))

const rejection = (promise: Promise<unknown>): Promise<LockError> =>
  promise.then(
    () => Promise.reject(new Error('it was fulfilled')),
    (error) => error,
  )

const aborted = (lock: HeldLock): Promise<unknown> =>
  new Promise((resolve) => lock.signal.addEventListener('abort', () => resolve(lock.signal.reason), { once: true }))

const thrown = (run: () => unknown): LockError => {
  try {
    run()
  } catch (error) {
    return error as LockError
  }
  throw new Error('nothing was thrown')
}

/** Takes a lock, has something done to its file, and tells how the lock is lost and what a waiter hears. */
async function whileHeld(mishap: () => void): Promise<{ lost: LockError; waited: LockError; store: ReturnType<typeof sqliteStore>; took: number }> {
  const store = sqliteStore(path)
  const [holder, other] = [createLocks({ store, duration: 1_000 }), createLocks({ store, duration: 1_000 })]
  const lock = await holder.acquire('job')
  const waiting = rejection(other.acquire('job'))
  const start = performance.now()
  mishap()
  const lost = (await aborted(lock)) as LockError
  const took = performance.now() - start
  const waited = await waiting
  await Promise.all([holder.close(), other.close()])
  return { lost, waited, store, took }
}

// Where the system tells what a process has open.
describe.runIf(process.platform === 'linux')('two copies of SQLite in one process', () => {
  test('a path that another copy has open is refused with what to do, and what that copy wrote stays', async () => {
    const theirs = openInAnotherCopy(path)
    theirs.exec('CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)')
    const error = thrown(() => sqliteStore(path))
    expect(error).toMatchObject({ name: 'LockError', code: 'store' })
    expect(error.message).toContain('give sqliteStore the handle that you use')
    theirs.exec('INSERT INTO theirs VALUES (2)')
    const count = execFileSync(process.execPath, [
      '-p',
      `require(${JSON.stringify(driverPath)})(process.argv[1]).prepare('SELECT count(*) FROM theirs').pluck().get()`,
      path,
    ])
    expect(String(count).trim()).toBe('2')
    theirs.close()
  })

  test('one that opens the file later ends the sessions, and closing the store leaves the log that it writes', { timeout: 60_000 }, async () => {
    let theirs: Database.Database | undefined
    const { lost, waited, store } = await whileHeld(() => {
      theirs = openInAnotherCopy(path)
      theirs.exec('CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)')
    })
    expect(lost).toMatchObject({ code: 'lost', message: expect.stringContaining('two copies of SQLite') })
    expect(waited).toMatchObject({ code: 'store', message: expect.stringContaining('two copies of SQLite') })
    expect(await rejection(store.read('job'))).toMatchObject({ code: 'store' })
    await store.close()
    expect(existsSync(`${path}-wal`)).toBe(true)
    theirs?.close()
  })

  test('connections and threads of one copy are no fault, however many', async () => {
    const handle = new Database(path)
    handle.pragma('journal_mode = WAL')
    const stores = [sqliteStore(path), sqliteStore(handle), sqliteStore(path)]
    const code = `
      const db = require(${JSON.stringify(driverPath)})(${JSON.stringify(path)})
      db.prepare('SELECT * FROM storelock_records').all()
      require('node:worker_threads').parentPort.postMessage('open')
      setInterval(() => {}, 1_000)`
    const thread = new Worker(code, { eval: true })
    await new Promise((resolve) => thread.once('message', resolve))
    for (const store of [...stores, sqliteStore(path)]) {
      const locks = createLocks({ store })
      await (await locks.acquire('job')).release()
      await locks.close()
      await store.close()
    }
    await thread.terminate()
    handle.close()
  })
})

describe('one database file with two logs', () => {
  test('a file with a second name is refused, naming that', () => {
    new Database(path).exec('CREATE TABLE x (y)').close()
    linkSync(path, join(folder, 'other.db'))
    for (const name of [path, join(folder, 'other.db')]) {
      const error = thrown(() => sqliteStore(name))
      expect(error).toMatchObject({ code: 'store' })
      expect(error.message).toContain('2 names (hard links)')
    }
  })

  test('a second name that is given later ends the sessions, naming that', async () => {
    const { lost, waited, store } = await whileHeld(() => linkSync(path, join(folder, 'other.db')))
    expect(lost.message).toContain('2 names (hard links)')
    expect(waited).toMatchObject({ code: 'store', message: expect.stringContaining('2 names (hard links)') })
    await store.close()
  })

  test.skipIf(process.platform === 'win32').each(['-wal', '-shm'])('a %s that is removed in use ends the sessions, naming that', async (which) => {
    const { lost, waited, store, took } = await whileHeld(() => rmSync(`${path}${which}`))
    expect(lost).toMatchObject({ code: 'lost', message: expect.stringContaining('lost its -wal or -shm') })
    expect(waited).toMatchObject({ code: 'store', message: expect.stringContaining('lost its -wal or -shm') })
    // By the beat that found it, not by the deadline.
    expect(took).toBeLessThan(1_000)
    await store.close()
  })

  test.runIf(process.platform === 'linux')('a handle whose -shm was removed before is refused, naming that', () => {
    const handle = new Database(path)
    handle.pragma('journal_mode = WAL')
    handle.exec('CREATE TABLE x (y)')
    rmSync(`${path}-shm`)
    expect(thrown(() => sqliteStore(handle)).message).toContain('lost its -wal or -shm')
    handle.close()
  })

  test('a rollback journal, which leaves no file, is no fault; nor is WAL that is turned on later', async () => {
    const handle = new Database(path)
    const store = sqliteStore(handle)
    const locks = createLocks({ store, duration: 200 })
    const lock = await locks.acquire('job')
    await lock.renew()
    expect(handle.pragma('journal_mode = WAL', { simple: true })).toBe('wal')
    for (let beats = 0; beats < 3; beats++) await store.apply([{ type: 'beat', session: 'a', client: 'a', lease: 1_000, opens: beats === 0 }])
    expect(lock.isHeld()).toBe(true)
    await locks.close()
    await store.close()
    handle.close()
  })

  test('a file that is mounted by itself is told by the system’s list of mounts', () => {
    writeFileSync(path, '')
    const line = (at: string) => `36 35 98:0 /app.db ${at} rw,noatime shared:1 - ext4 /dev/root rw\n`
    expect(pathFault(path, line(folder))).toBeUndefined()
    expect(pathFault(path, line('/') + line(path))).toContain('mount the folder')
    const blank = join(folder, 'my app.db')
    expect(pathFault(blank, line(join(folder, 'my\\040app.db')))).toContain('mount the folder')
  })

  // Anybody may mount where users may have namespaces of their own; the test above is for where they may not.
  const mounts = spawnSync('unshare', ['--map-root-user', '--mount', 'true']).status === 0
  test.runIf(mounts)('a file that is bind-mounted alone is refused, and the folder that has it is not', () => {
    const [there, whole] = [join(folder, 'there'), join(folder, 'whole')]
    for (const each of [there, whole]) mkdirSync(each)
    sqliteStore(path).close()
    writeFileSync(join(there, 'app.db'), '')
    const script = `
      const { sqliteStore } = await import(${JSON.stringify(new URL('../../src/stores/sqlite.ts', import.meta.url).href)})
      for (const file of process.argv.slice(1)) {
        try { await sqliteStore(file).close(); console.log('opened') } catch (error) { console.log(error.code, error.message) }
      }`
    const node = `'${process.execPath}' --import tsx --input-type=module --eval "$0" '${there}/app.db' '${whole}/app.db'`
    const mount = `mount --bind '${path}' '${there}/app.db' && mount --bind '${folder}' '${whole}'`
    const said = execFileSync('unshare', ['--map-root-user', '--mount', 'sh', '-c', `${mount} && ${node}`, script], { encoding: 'utf8' })
    expect(said).toMatch(/^store .*mounted as a single file.*\nopened\n$/)
  })

  test.skipIf(process.platform === 'win32')('a symbolic link leads to the same file, log, beacons and hints', async () => {
    const link = join(folder, 'elsewhere', 'link.db')
    mkdirSync(dirname(link))
    const real = sqliteStore(path)
    symlinkSync(path, link)
    const linked = sqliteStore(link)
    expect(linked.file).toBe(path)
    const locks = createLocks({ store: linked })
    const heard = new Promise((resolve) => real.channel?.subscribe('topic', resolve))
    await new Promise((resolve) => setTimeout(resolve, 0))
    linked.channel?.publish('topic', { said: 1 })
    expect(await heard).toEqual({ said: 1 })
    await using lock = await locks.acquire('job')
    expect((await real.read('job'))?.holders).toMatchObject([{ token: lock.token }])
    expect(readdirSync(`${path}-storelock`)).toHaveLength(1)
    expect(readdirSync(dirname(link))).toEqual(['link.db'])
    await locks.close()
    await linked.close()
    await real.close()
  })
})
