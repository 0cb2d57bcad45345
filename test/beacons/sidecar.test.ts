import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { SidecarConnection } from '../../src/beacons/sidecar/files.ts'
import { type SidecarBeacon, type SidecarOptions, sidecarBeacon } from '../../src/beacons/sidecar.ts'
import { built } from '../house/built.ts'

let folder: string
let database: string
let degraded: string[]
const beacons: SidecarBeacon[] = []
const children: ChildProcess[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'storelock-'))
  database = join(folder, 'app.db')
  writeFileSync(database, '', { mode: 0o640 })
  degraded = []
})

afterEach(async () => {
  for (const beacon of beacons.splice(0)) beacon.close()
  for (const child of children.splice(0)) if (child.exitCode === null && child.signalCode === null) await kill(child)
  rmSync(folder, { recursive: true })
})

function open(options: Partial<SidecarOptions> = {}): SidecarBeacon {
  const beacon = sidecarBeacon({
    database,
    open: (path) => new Database(path),
    isKnown: () => true,
    attend: () => undefined,
    degraded: (why) => why !== undefined && degraded.push(why),
    ...options,
  })
  beacons.push(beacon)
  return beacon
}

interface Owner {
  readonly child: ChildProcess
  readonly address: string
}

const [owner] = (await built(new URL('owner.ts', import.meta.url))) as [string]

async function startOwner(session = 's'): Promise<Owner> {
  const child = fork(owner, [database, session], { execArgv: [] })
  children.push(child)
  const [address] = (await once(child, 'message')) as [string]
  return { child, address }
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL')
  await once(child, 'exit')
}

const forever = new AbortController().signal
/** Long enough for several looks; the pauses between them start at 1 ms and double. */
const several = 300
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** The state of a watch after several looks: 'proved' or 'nothing'. */
const stateOf = (watch: Promise<unknown>): Promise<string> => Promise.race([watch.then(() => 'proved'), sleep(several).then(() => 'nothing')])

const sidecars = (): string[] => readdirSync(`${database}-storelock`).map((name) => join(`${database}-storelock`, name))

describe('death is proved', () => {
  test('of a process that was killed', async () => {
    const { child, address } = await startOwner()
    const watch = open().watch(address, forever)
    expect(await stateOf(watch)).toBe('nothing')
    await kill(child)
    await watch
  })

  test('of a process that was killed before the watch began, to every watcher', async () => {
    const { child, address } = await startOwner()
    await kill(child)
    await Promise.all(Array.from({ length: 10 }, () => open().watch(address, forever)))
  })

  test('of a beacon that was lowered while its process lives', async () => {
    const { child, address } = await startOwner()
    const watch = open().watch(address, forever)
    child.send({ lower: true })
    await watch
  })

  test('at once when a connection ends, otherwise within about a second', async () => {
    const { child, address } = await startOwner()
    let end = (_: number): void => {}
    let attends = 0
    const watch = open({
      attend(session, ended) {
        expect(session).toBe('s')
        attends++
        end = ended
        return () => {}
      },
    }).watch(address, forever)
    await kill(child)
    expect(await stateOf(watch)).toBe('nothing')
    end(several)
    await watch
    expect(attends).toBe(1)
  })
})

describe('a beacon that is out', () => {
  test('is recognised at once, and the beacon of a live session is not out', async () => {
    const { child, address } = await startOwner()
    const beacon = open()
    expect(await beacon.isOut?.(address)).toBe(false)
    child.kill('SIGSTOP')
    expect(await beacon.isOut?.(address)).toBe(false)
    await kill(child)
    expect(await beacon.isOut?.(address)).toBe(true)
  })

  test.each(['', 'x', 'in-process:1', 's-p-r:1', '../s-p-r:1', 's-p-r:1:2'])('is not known at the address %j', async (address) => {
    expect(await open().isOut?.(address)).toBe(false)
  })

  test('is never looked up in a sidecar file of one’s own process', async () => {
    const beacon = open()
    const { address } = await beacon.raise('mine')
    expect([await beacon.isOut?.(address), await open().isOut?.(address)]).toEqual([false, false])
    const { child } = await startOwner()
    child.send({ watch: address })
    expect(await stateOf(once(child, 'message').then(() => undefined))).toBe('nothing')
  })

  test('is looked up for a thousand sessions in turns of a few milliseconds', async () => {
    const { child, address } = await startOwner()
    const beacon = open()
    const asked = Promise.all(Array.from({ length: 1_000 }, () => beacon.isOut?.(address)))
    let turns = 0
    let over = false
    const turn = (): void => {
      turns++
      if (!over) setImmediate(turn)
    }
    turn()
    expect(new Set(await asked)).toEqual(new Set([false]))
    over = true
    // A look takes at least 0.05 ms. Without pauses, a thousand looks would take a single turn.
    expect(turns).toBeGreaterThan(5)
    await kill(child)
  })
})

describe('nothing is proved', () => {
  test('by a stopped process', async () => {
    const { child, address } = await startOwner()
    child.kill('SIGSTOP')
    expect(await stateOf(open().watch(address, forever))).toBe('nothing')
    child.kill('SIGCONT')
  })

  test('by the end of a connection, however often it ends', async () => {
    const { address } = await startOwner()
    let attends = 0
    const attend: SidecarOptions['attend'] = (_, ended) => {
      attends++
      const timer = setTimeout(() => ended(0))
      return () => clearTimeout(timer)
    }
    expect(await stateOf(open({ attend }).watch(address, forever))).toBe('nothing')
    // And the watch does not reconnect ever faster.
    expect(attends).toBeLessThan(15)
  })

  test('by a missing file', async () => {
    const { address } = await startOwner()
    for (const path of sidecars()) rmSync(path)
    expect(await stateOf(open().watch(address, forever))).toBe('nothing')
    expect(sidecars()).toEqual([])
  })

  test('by another file in its place, as from a backup', async () => {
    const { address } = await startOwner()
    const [path = ''] = sidecars()
    copyFileSync(path, `${path}.copy`)
    renameSync(`${path}.copy`, path)
    expect(await stateOf(open().watch(address, forever))).toBe('nothing')
  })

  test.each(['', 'x', 'in-process:1', 's-p-r:', '../s-p-r:1', 's-p-r:1:2'])('at the address %j', async (address) => {
    expect(await stateOf(open().watch(address, forever))).toBe('nothing')
  })

  test('about one’s own process: opening its sidecar files would drop their locks, so they are never opened', async () => {
    const beacon = open()
    const { address } = await beacon.raise('mine')
    const watches = [beacon.watch(address, forever), open().watch(address, forever)]
    for (const path of sidecars()) utimesSync(path, 0, 0)
    // Raising and lowering a beacon also sweep old files.
    const other = open({ isKnown: () => false })
    const swept = await other.raise('other')
    swept.lower()
    const { child } = await startOwner()
    child.send({ watch: address })
    const proved = once(child, 'message').then(() => undefined)
    expect(await stateOf(Promise.race([proved, ...watches]))).toBe('nothing')
  })

  test('about one’s own process from another thread of it', async () => {
    const { address } = await open().raise('mine')
    const files = new URL('../../src/beacons/sidecar/files.ts', import.meta.url).href
    const code = `
      import { register } from ${JSON.stringify(import.meta.resolve('tsx/esm/api'))}
      import Database from ${JSON.stringify(import.meta.resolve('better-sqlite3'))}
      import { parentPort } from 'node:worker_threads'
      register()
      const { SidecarFiles } = await import(${JSON.stringify(files)})
      const files = new SidecarFiles(${JSON.stringify(database)}, (path) => new Database(path))
      const [name, inode] = ${JSON.stringify(address)}.split(':')
      parentPort.postMessage({ seized: files.seize(name, inode) !== undefined, there: files.inodeOf(name) === inode })`
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`))
    expect(await once(worker, 'message')).toEqual([{ seized: false, there: true }])
    const { child } = await startOwner()
    child.send({ watch: address })
    expect(await stateOf(once(child, 'message').then(() => undefined))).toBe('nothing')
  })
})

describe('a watch', () => {
  test('ends with its signal’s reason', async () => {
    const { address } = await startOwner()
    const stop = new AbortController()
    const watch = open().watch(address, stop.signal)
    stop.abort('enough')
    await expect(watch).rejects.toBe('enough')
    await expect(open().watch(address, stop.signal)).rejects.toBe('enough')
  })

  test.each(['', 'x', 's-p-r:1'])('on the address %j ends with its signal’s reason, too', async (address) => {
    const stop = new AbortController()
    const watch = open().watch(address, stop.signal)
    stop.abort('enough')
    await expect(watch).rejects.toBe('enough')
  })

  test('ends silently when the beacon is closed', async () => {
    const { child, address } = await startOwner()
    const beacon = open()
    const watch = beacon.watch(address, forever)
    beacon.close()
    await kill(child)
    expect(await stateOf(watch)).toBe('nothing')
  })
})

describe('a sidecar file', () => {
  test('can be used by everyone who can use the database', async () => {
    await open().raise('s')
    const modes = [`${database}-storelock`, ...sidecars()].map((path) => statSync(path).mode & 0o777)
    expect(modes).toEqual([0o750, 0o640])
  })

  test.skipIf(process.platform === 'win32')('gets its group from a set-group-ID folder', async () => {
    chmodSync(folder, 0o2770)
    await open().raise('s')
    expect(statSync(`${database}-storelock`).mode & 0o7777).toBe(0o2750)
  })

  test.runIf(process.getuid?.() === 0)('belongs to the owner of the database, and is not made where a symbolic link leads', async () => {
    chownSync(database, 65_534, 65_534)
    const elsewhere = join(folder, 'elsewhere')
    mkdirSync(elsewhere)
    symlinkSync(elsewhere, `${database}-storelock`)
    await expect(open().raise('s')).rejects.toThrow(/-storelock is not a directory/)
    expect(readdirSync(elsewhere)).toEqual([])
    rmSync(`${database}-storelock`)
    await open().raise('s')
    expect([`${database}-storelock`, ...sidecars()].map((path) => statSync(path).uid)).toEqual([65_534, 65_534])
  })

  test.runIf(process.getuid?.() === 0)('is not used if another user owns its folder, or may remove files from it', async () => {
    const place = `${database}-storelock`
    mkdirSync(place)
    chownSync(place, 65_534, 65_534)
    await expect(open().raise('s')).rejects.toThrow(/belongs to another user/)
    chownSync(place, 0, 0)
    chmodSync(place, 0o777)
    await expect(open().raise('s')).rejects.toThrow(/chmod go-w/)
    chmodSync(place, 0o755)
    await open().raise('s')
    expect(sidecars()).toHaveLength(1)
  })

  test('is the only file of a beacon, and is removed when the beacon is lowered and its session has no row any more', async () => {
    const raised = await open({ isKnown: () => false }).raise('s')
    expect(sidecars()).toHaveLength(1)
    raised.lower()
    raised.lower()
    expect(sidecars()).toEqual([])
  })

  test.each([
    ['its session has a row', () => true],
    [
      'the store cannot say whether its session has a row',
      () => {
        throw new Error('the store was closed')
      },
    ],
  ])('stays, unlocked, while %s', async (_, isKnown) => {
    const raised = await open({ isKnown }).raise('s')
    raised.lower()
    expect(sidecars()).toHaveLength(1)
    const { child } = await startOwner('other')
    child.send({ watch: raised.address })
    await once(child, 'message')
  })

  test('left behind by a crash is swept once it is old and its session has no row', async () => {
    const [gone, known] = [await startOwner('gone'), await startOwner('known')]
    const alive = await startOwner('alive')
    await Promise.all([kill(gone.child), kill(known.child)])
    const young = await open({ isKnown: (session) => session === 'known' }).raise('young')
    young.lower()
    expect(sidecars()).toHaveLength(3)
    for (const path of sidecars()) utimesSync(path, 0, 0)
    const raised = await open({ isKnown: (session) => session === 'known' || session === 'mine' }).raise('mine')
    raised.lower()
    const left = (): (string | undefined)[] => sidecars().map((path) => path.split('/').at(-1)?.split('-')[0])
    // On a busy machine a sweep pauses and continues later.
    await vi.waitFor(() => expect(left().sort()).toEqual(['alive', 'known', 'mine']), 10_000)
    expect(await stateOf(open().watch(alive.address, forever))).toBe('nothing')
  })

  test('is swept, and other files beside it stay', async () => {
    mkdirSync(`${database}-storelock`)
    const put = (name: string, text = ''): void => writeFileSync(join(`${database}-storelock`, name), text)
    const name = 's-0123456789ab-012345'
    const theirs = ['notes', 'backup-2024-01.db', `${name}.db`, `${name.slice(0, -1)}x`, '%zz-0123456789ab-012345', 'full-0123456789ab-012345']
    for (const each of theirs) put(each)
    put(theirs.at(-1) as string, 'text')
    for (const path of sidecars()) utimesSync(path, 0, 0)
    symlinkSync(database, join(`${database}-storelock`, 'link-0123456789ab-012345'))
    lutimesSync(join(`${database}-storelock`, 'link-0123456789ab-012345'), 0, 0)
    put(name)
    utimesSync(join(`${database}-storelock`, name), 0, 0)
    const raised = await open({ isKnown: () => false }).raise('mine')
    const left = (): string[] => readdirSync(`${database}-storelock`).filter((each) => !each.startsWith('mine-'))
    await vi.waitFor(() => expect(left().sort()).toEqual([...theirs, 'link-0123456789ab-012345'].sort()), 10_000)
    raised.lower()
  })

  test('removed while its owner lives ends the owner’s session', async () => {
    const raised = await open().raise('s')
    expect(await stateOf(raised.lost)).toBe('nothing')
    for (const path of sidecars()) rmSync(path)
    await raised.lost
    raised.lower()
  })

  test('can belong to a session of any name', async () => {
    const raised = await open({ isKnown: () => false }).raise('../a-b:c/ü')
    expect(sidecars()).toHaveLength(1)
    raised.lower()
    expect(sidecars()).toEqual([])
  })

  test('that another process has locked for a moment is made again', async () => {
    let opened = 0
    const busyOnce = (path: string): SidecarConnection => {
      if (opened++) return new Database(path)
      throw Object.assign(new Error('database is locked'), { code: 'SQLITE_BUSY' })
    }
    const { address } = await open({ open: busyOnce }).raise('s')
    expect(sidecars().map((path) => path.split('/').at(-1))).toEqual([address.split(':')[0]])
    expect(degraded).toEqual([])
  })

  test('that can never be locked is reported and removed', async () => {
    const broken = (): never => {
      throw new Error('no locks on this file system')
    }
    await expect(open({ open: broken }).raise('s')).rejects.toThrow('no locks on this file system')
    expect(degraded).toEqual(['no locks on this file system'])
    expect(sidecars()).toEqual([])
  })

  test('that cannot be made is reported, and the beacon is not raised', async () => {
    writeFileSync(`${database}-storelock`, 'in the way')
    await expect(open().raise('s')).rejects.toThrow()
    expect(degraded).toHaveLength(1)
    expect(degraded[0]).toMatch(/is not a directory/)
    expect(existsSync(`${database}-storelock`)).toBe(true)
  })
})

test('SQLite leaves no journal beside a sidecar file when the process is killed', async () => {
  const { child, address } = await startOwner()
  await kill(child)
  await open().watch(address, forever)
  expect(sidecars()).toHaveLength(1)
  await vi.waitFor(() => expect(statSync(sidecars()[0] ?? '').size).toBe(0))
})
