import { execFileSync, spawnSync } from 'node:child_process'
import { linkSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Worker } from 'node:worker_threads'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { createLocks } from '../../src/index.ts'
import { pathFault } from '../../src/stores/sqlite/file.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { withFolder } from './sqlite-folder.ts'
import { thrown } from './thrown.ts'
import { whileHeld } from './while-held.ts'

let folder: string
let path: string
withFolder((made) => {
  folder = made
  path = join(made, 'app.db')
})

// Only Linux shows which files a process has open.
test.runIf(process.platform === 'linux')('any number of connections and threads of one copy of SQLite is accepted', async () => {
  const handle = new Database(path)
  handle.pragma('journal_mode = WAL')
  const stores = [sqliteStore(path), sqliteStore(handle), sqliteStore(path)]
  const code = `
    import { parentPort } from 'node:worker_threads'
    import Database from ${JSON.stringify(import.meta.resolve('better-sqlite3'))}
    const db = new Database(${JSON.stringify(path)})
    db.prepare('SELECT * FROM storelock_records').all()
    parentPort.on('message', () => db.close()).postMessage('open')`
  const thread = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`))
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

describe('one database file with two logs', () => {
  test('a file with a second name is refused with that reason', () => {
    new Database(path).exec('CREATE TABLE x (y)').close()
    linkSync(path, join(folder, 'other.db'))
    for (const name of [path, join(folder, 'other.db')]) {
      const error = thrown(() => sqliteStore(name))
      expect(error).toMatchObject({ code: 'store' })
      expect(error.message).toContain('2 names (hard links)')
    }
  })

  test('a second name that is made later ends the sessions with that reason', async () => {
    const { lost, waited, store } = await whileHeld(path, () => linkSync(path, join(folder, 'other.db')))
    expect(lost.message).toContain('2 names (hard links)')
    expect(waited).toMatchObject({ code: 'store', message: expect.stringContaining('2 names (hard links)') })
    await store.close()
  })

  test.skipIf(process.platform === 'win32').each(['-wal', '-shm'])(
    'a %s that is removed in use ends the sessions with that reason',
    async (which) => {
      const { lost, waited, store, took } = await whileHeld(path, () => rmSync(`${path}${which}`))
      expect(lost).toMatchObject({ code: 'lost', message: expect.stringContaining('lost its -wal or -shm') })
      expect(waited).toMatchObject({ code: 'store', message: expect.stringContaining('lost its -wal or -shm') })
      // The lock is lost at the beat that found the fault, not at its deadline.
      expect(took).toBeLessThan(1_000)
      await store.close()
    },
  )

  test.runIf(process.platform === 'linux')('a handle whose -shm was removed before is refused with that reason', () => {
    const handle = new Database(path)
    handle.pragma('journal_mode = WAL')
    handle.exec('CREATE TABLE x (y)')
    rmSync(`${path}-shm`)
    expect(thrown(() => sqliteStore(handle)).message).toContain('lost its -wal or -shm')
    handle.close()
  })

  test('a rollback journal, which leaves no file, is accepted, and so is WAL that is turned on later', async () => {
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

  test('a file that is mounted on its own is found in the system’s list of mounts', () => {
    writeFileSync(path, '')
    const line = (at: string) => `36 35 98:0 /app.db ${at} rw,noatime shared:1 - ext4 /dev/root rw\n`
    expect(pathFault(path, line(folder))).toBeUndefined()
    expect(pathFault(path, line('/') + line(path))).toContain('mount the folder')
    const blank = join(folder, 'my app.db')
    expect(pathFault(blank, line(join(folder, 'my\\040app.db')))).toContain('mount the folder')
  })

  // Without root, mounting needs user namespaces. The test above covers systems that do not allow them.
  const mounts = spawnSync('unshare', ['--map-root-user', '--mount', 'true']).status === 0
  test.runIf(mounts)('a bind mount of the single file is refused, and a bind mount of its folder is accepted', () => {
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
