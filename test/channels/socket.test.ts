import { type ChildProcess, fork, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { maxMessage } from '../../src/channels/socket/frames.ts'
import { openInbox } from '../../src/channels/socket/inbox.ts'
import { openPlace } from '../../src/channels/socket/place.ts'
import { type SocketChannel, socketChannel } from '../../src/channels/socket.ts'
import type { Message } from '../../src/store.ts'

let base: string
let degraded: string[]
const channels: SocketChannel[] = []
const children: ChildProcess[] = []

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'sl-'))
  degraded = []
})

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  await Promise.all(channels.splice(0).map((channel) => channel.close()))
  rmSync(base, { recursive: true })
})

function open(identity = 'db', bases: readonly string[] = [base]): SocketChannel {
  const channel = socketChannel(identity, (why) => degraded.push(why ?? 'back'), bases)
  channels.push(channel)
  return channel
}

/** The directory of the sockets. */
const home = (): string => join(base, `storelock-${process.getuid?.()}`)

/** Subscribes, and collects the messages. */
function listen(channel: SocketChannel, topic = 'topic'): Message[] {
  const heard: Message[] = []
  channel.subscribe(topic, (message) => heard.push(message))
  return heard
}

const soon = { timeout: 5_000, interval: 2 }
const heardAll = (heard: Message[], expected: readonly Message[]) => vi.waitFor(() => expect(heard).toEqual(expected), soon)

const peerFile = fileURLToPath(new URL('peer.ts', import.meta.url))

async function startPeer(topic = 'topic'): Promise<ChildProcess> {
  const child = fork(peerFile, [base, 'db', topic], { execArgv: ['--import', 'tsx'] })
  children.push(child)
  await once(child, 'message')
  return child
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL')
  await once(child, 'exit')
}

/** Every socket file below the base. */
const files = (): string[] =>
  (readdirSync(base, { recursive: true, encoding: 'utf8' }) as string[]).map((name) => join(base, name)).filter((path) => /-[0-9a-f]{8}$/.test(path))

/** Connects to the only socket there is, as a stranger. */
async function intrude(): Promise<Socket> {
  const [path = ''] = files()
  const socket = connect(path)
  await once(socket, 'connect')
  return socket
}

const line = (...parts: unknown[]): string => `${JSON.stringify(parts)}\n`

describe('a message', () => {
  test('reaches the subscribers of its topic on another channel, and no others', async () => {
    const [a, b, c] = [open(), open(), open()]
    const [heard, elsewhere] = [listen(b), listen(c, 'else')]
    a.publish('topic', { text: 'a\nb', number: 1.5, yes: true, none: null })
    a.publish('else', { last: true })
    await heardAll(elsewhere, [{ last: true }])
    await heardAll(heard, [{ text: 'a\nb', number: 1.5, yes: true, none: null }])
  })

  test('reaches every listener once, including the publisher’s, and each gets its own copy', async () => {
    const [a, b] = [open(), open()]
    const all = [listen(a), listen(a), listen(b), listen(b)]
    a.publish('topic', { n: 1 })
    for (const heard of all) await heardAll(heard, [{ n: 1 }])
    expect(new Set(all.map(([message]) => message)).size).toBe(4)
  })

  test('of one publisher arrives in the order of publishing', async () => {
    const [a, b] = [open(), open()]
    const heard = listen(b)
    const sent = Array.from({ length: 2_000 }, (_, n) => ({ n }))
    for (const message of sent) a.publish('topic', message)
    await heardAll(heard, sent)
  })

  test('passes between processes, both ways', async () => {
    const channel = open()
    const heard = listen(channel)
    const peer = await startPeer('theirs')
    const told = once(peer, 'message')
    channel.publish('theirs', { to: 'peer' })
    expect((await told)[0]).toEqual({ heard: { to: 'peer' } })
    peer.send({ publish: 'topic', count: 3 })
    await heardAll(heard, [{ number: 1 }, { number: 2 }, { number: 3 }])
  })

  test('reaches a channel that subscribed just before, even in a new directory', async () => {
    const a = open()
    for (let n = 0; n < 20; n++) {
      const b = open()
      const heard = listen(b)
      a.publish('topic', { n })
      await heardAll(heard, [{ n }])
    }
  })

  test('is sent even if the channel is closed right after publishing', async () => {
    const heard = listen(open())
    const a = open()
    a.publish('topic', { n: 1 })
    await a.close()
    a.publish('topic', { n: 2 })
    await heardAll(heard, [{ n: 1 }])
  })

  test('that is too large or is not JSON is dropped, and the next one arrives', async () => {
    const [a, b] = [open(), open()]
    const heard = listen(b)
    const cyclic: Record<string, unknown> = {}
    cyclic.self = cyclic
    for (const bad of [{ text: 'ä'.repeat(maxMessage / 2) }, { n: 1n }, cyclic]) a.publish('topic', bad as Message)
    const large = { text: 'x'.repeat(maxMessage - 60) }
    a.publish('topic', large)
    await heardAll(heard, [large])
  })

  test('reaches the other listeners when one listener throws', async () => {
    const [a, b] = [open(), open()]
    b.subscribe('topic', () => {
      throw new Error('a mistake')
    })
    const heard = listen(b)
    a.publish('topic', { n: 1 })
    await heardAll(heard, [{ n: 1 }])
  })

  test.each([
    ['for another database', () => [open('db'), open('other')]],
    ['of another user’s directory', () => [open('db', [base]), open('db', [join(base, 'else')])]],
  ])('%s is not heard', async (_, make) => {
    const [a, b] = make() as [SocketChannel, SocketChannel]
    const [heard, own] = [listen(b), listen(a)]
    a.publish('topic', { n: 1 })
    await heardAll(own, [{ n: 1 }])
    b.publish('topic', { n: 2 })
    await heardAll(heard, [{ n: 2 }])
  })
})

describe('a subscription that ends', () => {
  test('gets no more messages, and leaves no file', async () => {
    const [a, b] = [open(), open()]
    const heard: Message[] = []
    const stop = a.subscribe('topic', (message) => heard.push(message))
    const others = listen(b)
    expect(files()).toHaveLength(2)
    stop()
    stop()
    expect(files()).toHaveLength(1)
    b.publish('topic', { n: 1 })
    await heardAll(others, [{ n: 1 }])
    expect(heard).toEqual([])
    await b.close()
    expect(files()).toEqual([])
  })

  test.each([
    ['opens its socket even if', false],
    ['leaves no file if it ends just when', true],
  ])('%s another process removes the directory while the socket is being opened', async (_, ends) => {
    const place = openPlace('db', [base])
    let prepared = 0
    const prepare = (name: string): void => {
      prepared += 1
      place.prepare(name)
      if (prepared === 1) place.leave()
    }
    const failed = vi.fn()
    const inbox = openInbox({ ...place, prepare }, 'topic', { take: () => {}, failed, opened: () => {} })
    if (ends) inbox.close()
    await new Promise(setImmediate)
    expect(files().map((path) => path.split('/').at(-1))).toEqual(ends ? [] : [inbox.name])
    expect(failed.mock.calls).toEqual([])
    inbox.close()
  })

  test('is noticed by a channel that attends it, also when its process is killed', async () => {
    const channel = open()
    const peer = await startPeer()
    const ended = new Promise<number>((resolve) => channel.attend('topic', resolve))
    channel.publish('topic', { n: 1 })
    await once(peer, 'message')
    await kill(peer)
    expect(await ended).toBeGreaterThan(0)
    expect(channel.attend('nobody', () => {})).toBeUndefined()
  })

  test('keeps no process alive', async () => {
    listen(open(), 'other')
    const child = spawn(process.execPath, ['--import', 'tsx', peerFile, base, 'db', 'topic'], { stdio: 'inherit' })
    children.push(child)
    expect(await once(child, 'exit')).toEqual([0, null])
    expect(files()).toHaveLength(1)
  })
})

describe('a stranger at the socket', () => {
  test.each([
    ['that is no JSON', 'GET / HTTP/1.1\r\n\r\n'],
    ['of another form', line('topic', 's', 1)],
    ['with an invalid message', line('topic', 's', 1, ['x'])],
    ['with a nested message', line('topic', 's', 1, { deep: {} })],
    ['without an end', 'x'.repeat(2 * maxMessage)],
    ['that is too long', `${'x'.repeat(maxMessage + 1)}\n`],
    ['in a flood', line('topic', 's', 1, { n: 1 }).repeat(500_000)],
  ])('a connection that sends a line %s is closed, and the others still work', async (_, rubbish) => {
    const [a, b] = [open(), open()]
    const heard = listen(b)
    const stranger = await intrude()
    stranger.on('error', () => {})
    const cut = new Promise((resolve) => stranger.once('close', resolve))
    stranger.resume().write(rubbish)
    await cut
    heard.splice(0)
    a.publish('topic', { n: 2 })
    await heardAll(heard, [{ n: 2 }])
  })

  test('a silent connection is kept', async () => {
    const [a, b] = [open(), open()]
    const heard = listen(b)
    const strangers = await Promise.all(Array.from({ length: 100 }, () => intrude()))
    a.publish('topic', { n: 1 })
    await heardAll(heard, [{ n: 1 }])
    for (const stranger of strangers) stranger.destroy()
  })

  test('a message that is sent again is not delivered twice', async () => {
    const heard = listen(open())
    const stranger = await intrude()
    for (const number of [1, 2, 1, 2, 3]) stranger.write(line('topic', 's', number, { number }))
    await heardAll(heard, [{ number: 1 }, { number: 2 }, { number: 3 }])
    stranger.destroy()
  })
})

test('a stopped subscriber does not hold up publishers, and their memory stays bounded', async () => {
  const [a, b] = [open(), open()]
  const peer = await startPeer()
  const heard = listen(b)
  peer.kill('SIGSTOP')
  const before = process.memoryUsage().rss
  for (let n = 0; n < 20_000; n++) a.publish('topic', { text: 'x'.repeat(1_000) })
  await new Promise((resolve) => setTimeout(resolve, 50))
  heard.splice(0)
  a.publish('topic', { n: 1 })
  expect(process.memoryUsage().rss - before).toBeLessThan(200 * 2 ** 20)
  peer.kill('SIGCONT')
})

describe.skipIf(process.platform === 'win32')('socket files left behind', () => {
  const age = (path: string): void => utimesSync(path, 0, 0)

  test('by a crash are removed by a channel that cannot connect, once they are old', async () => {
    const channel = open()
    const peer = await startPeer()
    const [path = ''] = files()
    await kill(peer)
    expect(existsSync(path)).toBe(true)
    const refused = (): Promise<number> => new Promise((resolve) => channel.attend('topic', resolve))
    expect(await refused()).toBe(0)
    // Its owner may be just about to listen on it.
    expect(existsSync(path)).toBe(true)
    age(path)
    expect(await refused()).toBe(0)
    expect(existsSync(path)).toBe(false)
  })

  test('are looked for by each new channel', async () => {
    const peer = await startPeer()
    const [path = ''] = files()
    await kill(peer)
    age(path)
    listen(open(), 'else')
    await vi.waitFor(() => expect(existsSync(path)).toBe(false), soon)
  })

  test('are told from those of live subscribers and from other files, which stay', async () => {
    const [a, b] = [open(), open()]
    const heard = listen(b)
    const [path = ''] = files()
    const other = path.replace(/.{8}$/, '00000000')
    writeFileSync(other, '')
    age(path)
    age(other)
    a.publish('topic', { n: 1 })
    await heardAll(heard, [{ n: 1 }])
    expect(files().sort()).toEqual([path, other].sort())
    rmSync(other)
  })
})

describe.skipIf(process.platform === 'win32')('a directory for sockets', () => {
  /** Expects that messages reach only the channel's own listeners, that no call throws, and that the reason is reported once. */
  async function expectDegraded(channel: SocketChannel, why: RegExp): Promise<void> {
    const heard = listen(channel)
    listen(channel, 'else')
    channel.publish('topic', { n: 1 })
    expect(channel.attend('topic', () => {})).toBeUndefined()
    // The publisher's own listeners need no socket.
    await heardAll(heard, [{ n: 1 }])
    expect(degraded).toHaveLength(1)
    expect(degraded[0]).toMatch(why)
  }

  test('can be entered only by its user', () => {
    listen(open())
    expect(readdirSync(base)).toEqual([`storelock-${process.getuid?.()}`])
    expect(degraded).toEqual([])
  })

  test('that others can enter is refused', async () => {
    mkdirSync(home())
    chmodSync(home(), 0o755)
    await expectDegraded(open(), /can be entered by other users/)
  })

  test.runIf(process.getuid?.() === 0)('of another user is refused', async () => {
    mkdirSync(home(), { mode: 0o700 })
    chownSync(home(), 65_534, 65_534)
    await expectDegraded(open(), /belongs to another user/)
  })

  test.runIf(process.getuid?.() === 0)('belongs to the effective user of the process', async () => {
    chmodSync(base, 0o777)
    process.seteuid?.(65_534)
    try {
      const heard = listen(open())
      open().publish('topic', { n: 1 })
      await heardAll(heard, [{ n: 1 }])
    } finally {
      process.seteuid?.(0)
    }
    expect(readdirSync(base)).toEqual(['storelock-65534'])
    expect(degraded).toEqual([])
  })

  test('that can no longer be read costs hints and nothing else', async () => {
    const [a, b] = [open(), open()]
    const heard = listen(b)
    a.publish('topic', { n: 1 })
    await heardAll(heard, [{ n: 1 }])
    rmSync(home(), { recursive: true })
    // A link to itself cannot be followed, not even by root.
    symlinkSync(home(), home())
    const own = listen(a, 'own')
    for (const topic of ['topic', 'own']) a.publish(topic, { n: 2 })
    expect(a.attend('topic', () => {})).toBeUndefined()
    await heardAll(own, [{ n: 2 }])
    // Closing searches for unknown subscribers.
    await a.close()
    expect(degraded[0]).toMatch(/not a directory/)
  })

  test('is refused if a symbolic link is in its place', async () => {
    mkdirSync(join(base, 'elsewhere'), { mode: 0o700 })
    symlinkSync(join(base, 'elsewhere'), home())
    await expectDegraded(open(), /not a directory/)
    expect(readdirSync(join(base, 'elsewhere'))).toEqual([])
  })

  test('is refused if a file is in its place', async () => {
    writeFileSync(home(), '')
    await expectDegraded(open(), /cannot be used|not a directory/)
  })

  test('that cannot be made is named in the report', async () => {
    await expectDegraded(open('db', ['/proc/nowhere']), /\/proc\/nowhere/)
  })

  test('with a path too long for sockets is named in the report', async () => {
    await expectDegraded(open('db', [join(base, 'x'.repeat(80))]), /too long/)
  })

  test('is made in the next place if the first is unsuitable', async () => {
    const bases = [join(base, 'x'.repeat(80)), base]
    const heard = listen(open('db', bases))
    open('db', bases).publish('topic', { n: 1 })
    await heardAll(heard, [{ n: 1 }])
    expect(degraded).toEqual([])
  })

  test('that was removed is made again', async () => {
    const a = open()
    listen(a)
    rmSync(home(), { recursive: true })
    const heard = listen(a, 'later')
    open().publish('later', { n: 1 })
    await heardAll(heard, [{ n: 1 }])
  })
})

describe('hints that are missing', () => {
  /** Says that messages may have been missed. */
  const missed: Message = {}
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] }))
  afterEach(() => void vi.useRealTimers())
  /** Passes the time after which a channel checks that its sockets still exist. */
  const passTime = (): void => void vi.advanceTimersByTime(5_000)

  test('come back, unreported, after a cleanup of old files has removed the directory of the sockets', async () => {
    const heard = listen(open())
    rmSync(home(), { recursive: true })
    passTime()
    open().publish('topic', { n: 1 })
    await heardAll(heard, [missed, { n: 1 }])
    expect(degraded).toEqual([])
  })

  test('come back after only the socket was removed', async () => {
    const heard = listen(open())
    for (const path of files()) rmSync(path)
    passTime()
    open().publish('topic', { n: 1 })
    await heardAll(heard, [missed, { n: 1 }])
  })

  test('are reported once, come back when the cause is gone, and are reported when they are missing again', async () => {
    const inTheWay = (): void => {
      rmSync(home(), { recursive: true, force: true })
      writeFileSync(home(), 'in the way')
    }
    inTheWay()
    const heard = listen(open())
    for (let turn = 0; turn < 3; turn++) passTime()
    expect(degraded).toEqual([expect.stringMatching(/is not a directory/)])
    rmSync(home())
    passTime()
    await vi.waitFor(() => expect(degraded.slice(1)).toEqual(['back']), soon)
    open().publish('topic', { n: 1 })
    await heardAll(heard, [missed, { n: 1 }])
    inTheWay()
    for (let turn = 0; turn < 3; turn++) passTime()
    expect(degraded.slice(2)).toEqual([expect.stringMatching(/is not a directory/)])
  })

  test('come back for a process that only publishes, too', async () => {
    writeFileSync(home(), 'in the way')
    const publisher = open()
    publisher.publish('topic', { n: 1 })
    expect(degraded).toHaveLength(1)
    rmSync(home())
    const heard = listen(open())
    passTime()
    publisher.publish('topic', { n: 2 })
    await heardAll(heard, [{ n: 2 }])
  })

  test.skipIf(process.platform === 'win32')('for want of file descriptors come back once there are some', () => {
    const script = fileURLToPath(new URL('starved.ts', import.meta.url))
    const { stdout, stderr } = spawnSync('sh', ['-c', `ulimit -n 128 && exec "${process.execPath}" --import tsx "${script}" "${base}"`], {
      encoding: 'utf8',
      timeout: 20_000,
    })
    expect({ lines: stdout.trim().split('\n'), stderr }).toEqual({ lines: ['gone', 'back', 'heard'], stderr: '' })
  })
})
