import { linkSync, mkdirSync, mkdtempSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  checkClock,
  checkIntegrity,
  checkJournal,
  checkRows,
  checkSchema,
  checkStale,
  checkWritable,
  readRows,
} from '../../src/cli/doctor/database.ts'
import { checkFileSystem, checkSidecars, checkSpace, parseMounts } from '../../src/cli/doctor/files.ts'
import { checkPath, checkProcesses } from '../../src/cli/doctor/processes.ts'
import { createLocks } from '../../src/index.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { openInAnotherCopy } from '../stores/another-copy.ts'

let folder: string
let file: string
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'storelock-')))
  file = join(folder, 'app.db')
})
afterEach(() => rmSync(folder, { recursive: true }))

/** A store with one held lock. */
async function held() {
  const store = sqliteStore(file)
  const locks = createLocks({ store })
  await locks.acquire('job')
  const db = new Database(file)
  const close = async () => {
    db.close()
    await locks.close()
    await store.close()
  }
  return { db, close, rows: () => readRows(db) }
}

describe('the doctor', () => {
  it('finds nothing wrong with a store in use', async () => {
    const { db, rows, close } = await held()
    const found = [
      checkJournal(db),
      checkIntegrity(db),
      checkWritable(file),
      checkSchema(db),
      checkRows(rows()),
      checkStale(rows()),
      checkClock(rows()),
    ]
    expect(found.filter(({ state }) => state !== 'ok')).toEqual([])
    await close()
  })

  it('names a record that cannot be read', async () => {
    const { db, rows, close } = await held()
    db.exec(`INSERT INTO storelock_records VALUES ('broken', '{}')`)
    expect(checkRows(rows())).toMatchObject({ state: 'fault', found: 'cannot be read: the record of broken' })
    await close()
  })

  it('names tables of a newer version', async () => {
    const { db, close } = await held()
    db.exec(`UPDATE storelock_meta SET value = 99 WHERE name = 'version'`)
    expect(checkSchema(db)).toMatchObject({ state: 'fault', mend: 'update storelock' })
    await close()
  })

  it('names a lock whose holder has long been silent, and says how to evict it', async () => {
    const { rows, close } = await held()
    expect(checkStale(rows(), Date.now() + 3_600_000)).toMatchObject({ state: 'note', mend: 'storelock expire job' })
    await close()
  })

  it('counts records that have been unused for a month', () => {
    const idle = { key: 'old', token: 1, changedAt: 1, holders: [], queue: [], pins: [] }
    expect(checkStale({ records: new Map([['old', idle]]), sessions: new Map(), corrupt: [] })).toMatchObject({
      mend: 'storelock sweep --older-than 30d',
    })
  })

  it('notices from a lock’s times that the clock was set back', async () => {
    const { rows, close } = await held()
    expect(checkClock(rows(), Date.now() - 3_605_000)).toMatchObject({
      check: 'clock',
      state: 'note',
      found: 'was set back by 1h or more under a lock',
    })
    await close()
  })

  it.runIf(process.platform === 'linux')('names the process that writes', async () => {
    const { close } = await held()
    const other = new Database(file)
    other.exec('BEGIN IMMEDIATE')
    expect(checkWritable(file)).toMatchObject({ state: 'note', found: expect.stringContaining(`process ${process.pid} (`) })
    other.close()
    expect(checkWritable(file)).toMatchObject({ state: 'ok' })
    await close()
  })

  it('recommends the write-ahead log', () => {
    const db = new Database(file)
    expect(checkJournal(db)).toMatchObject({ state: 'note', found: expect.stringContaining('delete') })
    db.close()
  })

  it('finds a second name of the file, and a mount of the single file', () => {
    writeFileSync(file, '')
    expect(checkPath(file)).toMatchObject({ state: 'ok' })
    expect(checkPath(file, `36 35 98:0 /x ${file} rw - ext4 /dev/root rw`)).toMatchObject({
      state: 'fault',
      found: expect.stringContaining('mounted as a single file'),
      mend: 'mount the folder instead',
    })
    linkSync(file, join(folder, 'other.db'))
    expect(checkPath(file)).toMatchObject({ state: 'fault', found: expect.stringContaining('2 names'), mend: expect.stringContaining('remove all') })
  })

  it('checks the open files of processes: one log beside the file, and one copy of SQLite in each process', async () => {
    const { close } = await held()
    const [database, index] = [file, `${file}-shm`].map((path) => statSync(path, { bigint: true })).map(({ dev, ino }) => `${dev}:${ino}`)
    const opens = (pid: number, path: string, inode = '') => ({ pid, path, inode })
    const sound = [opens(1, file, database), opens(1, `${file}-shm`, index)]
    expect(checkProcesses(file, sound)).toMatchObject({ state: 'ok', found: expect.stringMatching(/^1 of/) })
    const elsewhere = [...sound, opens(2, '/data/app.db', database), opens(2, '/data/app.db-shm', '1:1')]
    expect(checkProcesses(file, elsewhere)).toMatchObject({ state: 'fault', found: expect.stringMatching(/^2 .*that of .data.app.db-shm/) })
    const removed = [...sound, opens(3, file, database), opens(3, `${file}-shm (deleted)`, '1:1')]
    expect(checkProcesses(file, removed)).toMatchObject({ state: 'fault', found: expect.stringMatching(/^3 .*removed in use/) })
    const twice = [...sound, opens(4, file, database), opens(4, `${file}-shm`, index), opens(4, `${file}-shm`, index)]
    expect(checkProcesses(file, twice)).toMatchObject({ state: 'fault', found: expect.stringMatching(/^4 .*two copies/) })
    expect(checkProcesses(file, [])).toMatchObject({ state: 'note' })
    await close()
  })

  it.runIf(process.platform === 'linux')('finds two copies of SQLite in a running process, and a log that was removed in use', async () => {
    const { close } = await held()
    expect(checkProcesses(file)).toMatchObject({ state: 'ok' })
    const another = openInAnotherCopy(file)
    expect(checkProcesses(file)).toMatchObject({ state: 'fault', found: `${process.pid} has it open in two copies of SQLite` })
    another.close()
    // When the last connection of one copy closes, it removes the log that the other copy uses.
    expect(checkProcesses(file)).toMatchObject({ state: 'fault', found: expect.stringContaining('removed in use') })
    await close()
  })

  it.each(['nfs4', 'cifs', 'fuse.sshfs', '9p'])('warns of a file on %s', (type) => {
    writeFileSync(file, '')
    const mounts = parseMounts(`/dev/vda1 / ext4 rw 0 0\nserver:/x ${folder} ${type} rw 0 0\n`)
    expect(checkFileSystem(file, mounts)).toMatchObject({ state: 'fault', found: expect.stringContaining(type) })
  })

  it('uses the deepest mount, whatever its name', () => {
    const place = join(folder, 'with space')
    mkdirSync(place)
    writeFileSync(join(place, 'app.db'), '')
    const mounts = parseMounts(`server:/x ${folder} nfs4 rw 0 0\ntmpfs ${place.replace(' ', '\\040')} tmpfs rw 0 0\n`)
    expect(checkFileSystem(join(place, 'app.db'), mounts)).toMatchObject({ state: 'ok', found: 'tmpfs' })
  })

  it.each([
    [10_485_760, 'ok', '10 MiB left'],
    [4_096, 'fault', '0 MiB left'],
  ])('judges %d bytes of free space: %s', (left, state, found) => {
    expect(checkSpace(file, left)).toMatchObject({ state, found })
  })

  it('counts the files left by crashed sessions beside the database', () => {
    writeFileSync(file, '')
    mkdirSync(`${file}-storelock`)
    for (const session of ['alive', 'dead']) writeFileSync(join(`${file}-storelock`, `${session}-0123456789ab-012345`), '')
    expect(checkSidecars(file, (session) => session === 'alive')).toMatchObject({ state: 'note', found: expect.stringMatching(/^1 of 2 files/) })
  })
})
