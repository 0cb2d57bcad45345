import { type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { createLocks } from '../../src/index.ts'
import { createHandler } from '../../src/server/index.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { failure, isBuiltIn } from './driver.ts'
import { withFolder } from './sqlite-folder.ts'
import { thrown } from './thrown.ts'

let folder: string
let path: string
withFolder((made) => {
  folder = made
  path = join(made, 'app.db')
})

/** A driver whose constructor needs an option to open a file, like a driver for encrypted databases. */
class Keyed extends Database {
  constructor(path: string, options?: Database.Options & { key?: string }) {
    if (options?.key !== 'secret') throw Object.assign(new Error('file is not a database'), { code: 'SQLITE_NOTADB' })
    super(path, options)
  }
}

describe('open', () => {
  const open = (opened: string[]) => (file: string) => {
    opened.push(file)
    return new Keyed(file, { key: 'secret' })
  }

  test('opens every connection to the file: the store’s own and the one of a lock server’s journal', async () => {
    const handle = new Keyed(path, { key: 'secret' })
    const opened: string[] = []
    const store = sqliteStore(handle, { open: open(opened) })
    expect(opened).toEqual([path])
    const locks = createLocks({ store })
    await locks.request('job', async (lock) => {
      expect(lock.token).toBeGreaterThan(0)
      expect(await store.transaction(lock, (tx) => tx === handle)).toBe(true)
    })
    expect(existsSync(`${path}-storelock`)).toBe(true)
    const handler = await createHandler(store)
    expect(opened.filter((each) => each === path)).toHaveLength(2)
    await handler.close()
    await locks.close()
    await store.close()
    handle.close()
  })

  test('is named in the error if the constructor alone cannot open the file', () => {
    const handle = new Keyed(path, { key: 'secret' })
    const error = thrown(() => sqliteStore(handle))
    expect(error).toMatchObject({ code: 'store', cause: { code: 'SQLITE_NOTADB' } })
    expect(error.message).toContain('sqliteStore(handle, { open:')
    handle.close()
  })

  test('is refused if it opens another file, or is not a function', () => {
    const handle = new Database(path)
    handle.exec('CREATE TABLE x (y)')
    expect(() => sqliteStore(handle, { open: () => new Database(join(folder, 'other.db')) })).toThrow(TypeError)
    expect(() => sqliteStore(handle, { open: 'app.db' as never })).toThrow(TypeError)
    handle.close()
  })

  test('may be given with a path', async () => {
    const opened: string[] = []
    const store = sqliteStore(path, { open: open(opened) })
    expect(opened).toEqual([path])
    await store.close()
  })
})

test('a store on a read-only handle can read, and refuses to write', async () => {
  const writer = sqliteStore(path)
  const locks = createLocks({ store: writer })
  await locks.acquire('job')
  const open = (file: string) => new Database(file, { readonly: true })
  const handle = open(path)
  // node:sqlite does not show whether a handle is read-only.
  const store = sqliteStore(handle, isBuiltIn ? { open } : {})
  expect((await store.list()).map(({ key }) => key)).toEqual(['job'])
  await expect(store.apply([{ type: 'beat', session: 'a', client: 'a', lease: 1_000, opens: true }])).rejects.toMatchObject({
    code: 'store',
    cause: failure('READONLY'),
  })
  await store.close()
  handle.close()
  await locks.close()
  await writer.close()
})

describe('a name of a database', () => {
  test('that is a file: URL means that file, whatever the driver does with such names', async () => {
    const names = [
      pathToFileURL(path).href,
      `file:${path}`,
      `file:${relative(process.cwd(), path)}`,
      `FILE://localhost${pathToFileURL(path).pathname}`,
    ]
    for (const name of names) {
      const store = sqliteStore(name, { open: (file) => new Database(file) })
      expect(store.file).toBe(path)
      await store.close()
    }
  })

  test.each(['sqlite:app.db', 'sqlite://app.db', 'libsql://host/app', 'https://host/app.db', 'file:app.db?mode=ro', 'file://host/app.db'])(
    'like %s is refused, and no file is made',
    (name) => {
      const before = readdirSync('.')
      expect(() => sqliteStore(name)).toThrow(TypeError)
      expect(readdirSync('.')).toEqual(before)
    },
  )
})

/** Runs a program with a store on the file, without root's right to write anywhere. @returns its output */
async function asReader(program: string): Promise<string> {
  const root = process.getuid?.() === 0
  const options: SpawnOptions = {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TSX_DISABLE_CACHE: '1', HOME: folder },
    ...(root && { uid: 65_534, gid: 65_534 }),
  }
  const source = `
    const { sqliteStore } = await import(${JSON.stringify(new URL('../../src/stores/sqlite.ts', import.meta.url).href)})
    const { createLocks } = await import(${JSON.stringify(new URL('../../src/index.ts', import.meta.url).href)})
    const store = sqliteStore(${JSON.stringify(path)})
    ${program}`
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', source], options)
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text) => (said += text))
  await once(child, 'close')
  return said
}

describe('a look is immediate', { timeout: 60_000 }, () => {
  test.each(['WAL', 'DELETE'])('while another process has a write transaction open, in journal mode %s', async (mode) => {
    await sqliteStore(path).close()
    const writer = new Database(path)
    writer.pragma(`journal_mode = ${mode}`)
    writer.exec('CREATE TABLE theirs (x); BEGIN IMMEDIATE; INSERT INTO theirs VALUES (1)')
    const store = sqliteStore(path)
    // The writer commits only after these looks. If they waited for it, they would not be answered first.
    const looks = [store.read('job'), store.list(), createLocks({ store }).query()]
    const ended = Promise.all(looks)
    expect(await Promise.race([ended, new Promise((resolve) => setImmediate(() => setImmediate(resolve, 'later')))])).toEqual([
      undefined,
      [],
      { held: [], pending: [] },
    ])
    writer.exec('COMMIT')
    await store.close()
    writer.close()
  })

  test.skipIf(process.platform === 'win32')('at a read-only file, and calls that have to write fail with a clear error', async () => {
    const store = sqliteStore(path)
    const locks = createLocks({ store })
    await locks.acquire('job')
    for (const name of readdirSync(folder)) chmodSync(join(folder, name), name.endsWith('-storelock') ? 0o555 : 0o444)
    chmodSync(folder, 0o555)
    const said = await asReader(`
      console.log((await store.list()).map(({ key }) => key).join(), (await store.read('job')).holders.length)
      const locks = createLocks({ store, onWarning() {} })
      console.log((await locks.query()).held.length)
      await locks.acquire('other', { timeout: 100 }).catch(({ code, message }) => console.log(code, message))
      await store.close()`)
    expect(said).toMatch(/^job 1\n1\nstore .*readonly database\n$/)
    chmodSync(folder, 0o700)
    for (const name of readdirSync(folder)) chmodSync(join(folder, name), 0o700)
    await locks.close()
    await store.close()
  })
})
