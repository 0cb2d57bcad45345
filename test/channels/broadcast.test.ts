import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type BroadcastingChannel, broadcastChannel } from '../../src/channels/broadcast.ts'
import type { Message } from '../../src/store.ts'

let count = 0
let name: string
let opened: { close(): void }[]

beforeEach(() => {
  name = `test ${count++}`
  opened = []
})

afterEach(() => {
  for (const channel of opened) channel.close()
  vi.unstubAllGlobals()
})

const open = (called = name): BroadcastingChannel => {
  const channel = broadcastChannel(called)
  opened.push(channel)
  return channel
}

/** The engine's own channel, as any script of the origin can open it. */
const stranger = (): BroadcastChannel => {
  const channel = new BroadcastChannel(name)
  opened.push(channel)
  return channel
}

/** Collects the messages of a topic. `until` resolves with all of them once message `n` has arrived. */
function hear(channel: BroadcastingChannel, topic = 't') {
  const heard: unknown[] = []
  let look = (): void => {}
  const stop = channel.subscribe(topic, ({ n }) => {
    heard.push(n)
    look()
  })
  const until = (n: number): Promise<unknown[]> =>
    new Promise((resolve) => {
      look = () => heard.includes(n) && resolve([...heard])
      look()
    })
  return { heard, stop, until }
}

describe('T4: a broadcast channel', () => {
  test('carries messages to every other object of its name, and to its own listeners, each in order', async () => {
    const [one, two, three] = [open(), open(), open()]
    const listeners = [hear(one), hear(one), hear(two), hear(three)]
    for (let n = 1; n <= 100; n++) one.publish('t', { n })
    const all = Array.from({ length: 100 }, (_, index) => index + 1)
    expect(await Promise.all(listeners.map(({ until }) => until(100)))).toEqual([all, all, all, all])
  })

  test('calls no listener within publish', async () => {
    const channel = open()
    const { heard, until } = hear(channel)
    channel.publish('t', { n: 1 })
    expect(heard).toEqual([])
    expect(await until(1)).toEqual([1])
  })

  test('carries messages from a publisher without subscriptions', async () => {
    const listener = hear(open())
    const other = open()
    for (let n = 1; n <= 3; n++) other.publish('t', { n })
    expect(await listener.until(3)).toEqual([1, 2, 3])
  })

  test('carries every kind of value, and large messages', async () => {
    const message = { text: 'ä'.repeat(1_000_000), n: -0.5, yes: true, no: null }
    const heard = new Promise<Message>((resolve) => open().subscribe('t', resolve))
    open().publish('t', message)
    expect(await heard).toEqual(message)
  })

  test('carries messages to other threads and back', async () => {
    const listener = hear(open())
    const code = `
      const channel = new BroadcastChannel(${JSON.stringify(name)})
      channel.onmessage = ({ data }) => {
        channel.postMessage({ topic: 't', message: { n: data.message.n + 1 } })
        channel.close()
      }
      require('node:worker_threads').parentPort.postMessage('ready')`
    const worker = new Worker(code, { eval: true })
    await new Promise((resolve) => worker.once('message', resolve))
    open().publish('t', { n: 1 })
    expect(await listener.until(2)).toEqual([1, 2])
    await worker.terminate()
  })

  test('keeps topics and names apart', async () => {
    const [one, two, other] = [open(), open(), open(`${name}, another`)]
    const [right, wrongTopic, wrongName] = [hear(two), hear(two, 'u'), hear(other)]
    one.publish('t', { n: 1 })
    one.publish('u', { n: 2 })
    other.publish('t', { n: 3 })
    expect(await right.until(1)).toEqual([1])
    expect(await wrongTopic.until(2)).toEqual([2])
    expect(await wrongName.until(3)).toEqual([3])
  })

  test('is not disturbed by a listener that throws, or that changes the message', async () => {
    const [one, two] = [open(), open()]
    for (const channel of [one, two]) {
      channel.subscribe('t', (message) => {
        Object.assign(message, { n: 'changed' })
        throw new Error('a listener failed')
      })
    }
    const listeners = [hear(one), hear(two)]
    one.publish('t', { n: 1 })
    one.publish('t', { n: 2 })
    for (const { until } of listeners) expect(await until(2)).toEqual([1, 2])
  })

  test('calls all listeners except those that unsubscribed', async () => {
    const [one, two] = [open(), open()]
    const [stopped, goesOn] = [hear(two), hear(two)]
    one.publish('t', { n: 1 })
    stopped.stop()
    stopped.stop()
    expect(await goesOn.until(1)).toEqual([1])
    expect(stopped.heard).toEqual([])
  })

  test('silently drops messages that cannot be cloned', async () => {
    const [one, two] = [open(), open()]
    const listeners = [hear(one), hear(two)]
    for (const publisher of [one, open()]) publisher.publish('t', { n: 1, no: (() => {}) as never })
    one.publish('t', { n: 2 })
    for (const { until } of listeners) expect(await until(2)).toEqual([2])
  })

  test.each<[string, unknown]>([
    ['nothing', null],
    ['a text', 't'],
    ['no topic', { message: { n: 1 } }],
    ['a topic that is no text', { topic: 1, message: { n: 1 } }],
    ['no message', { topic: 't' }],
    ['an empty message', { topic: 't', message: null }],
    ['a message that is a text', { topic: 't', message: 'n' }],
    ['a list', { topic: 't', message: [1] }],
    ['a message that is not flat', { topic: 't', message: { n: 1, more: {} } }],
    ['values that no message has', { topic: 't', message: { n: 1n } }],
  ])('ignores foreign messages posted under its name: %s', async (_, data) => {
    const listener = hear(open())
    const other = stranger()
    other.postMessage(data)
    other.postMessage({ topic: 't', message: { n: 2 } })
    expect(await listener.until(2)).toEqual([2])
  })

  test('silently carries nothing once it is closed', async () => {
    const [one, two] = [open(), open()]
    const before = hear(one)
    const listener = hear(two)
    one.close()
    one.close()
    const after = hear(one)
    one.publish('t', { n: 1 })
    two.publish('t', { n: 2 })
    expect(await listener.until(2)).toEqual([2])
    expect([before.heard, after.heard]).toEqual([[], []])
    before.stop()
  })

  test('silently loses its messages when the page can no longer open channels', () => {
    vi.stubGlobal('BroadcastChannel', function gone() {
      throw new DOMException('the document is not fully active', 'InvalidStateError')
    })
    const channel = open()
    channel.publish('t', { n: 1 })
    channel.subscribe('t', () => {})()
  })
})

describe('the engine’s own channel', () => {
  let living: Set<BroadcastChannel>

  beforeEach(() => {
    living = new Set()
    const Channel = BroadcastChannel
    class Counted extends Channel {
      constructor(name: string) {
        super(name)
        living.add(this)
      }
      override close() {
        living.delete(this)
        super.close()
      }
    }
    vi.stubGlobal('BroadcastChannel', Counted)
  })

  test('is opened only once, and stays open while there is a listener', async () => {
    const channel = open()
    expect(living.size).toBe(0)
    const listeners = [hear(channel), hear(channel, 'u')]
    expect(living.size).toBe(1)
    listeners[0]?.stop()
    listeners[0]?.stop()
    expect(living.size).toBe(1)
    channel.publish('u', { n: 1 })
    await listeners[1]?.until(1)
    expect(living.size).toBe(1)
    listeners[1]?.stop()
    expect(living.size).toBe(0)
    const again = hear(channel)
    expect(living.size).toBe(1)
    open().publish('t', { n: 2 })
    expect(await again.until(2)).toEqual([2])
  })

  test('does not stay open after a publisher without subscriptions has posted a message, or failed to', () => {
    const channel = open()
    channel.publish('t', { n: 1 })
    channel.publish('t', { n: (() => {}) as never })
    expect(living.size).toBe(0)
  })

  test('is closed with the object', () => {
    const channel = open()
    hear(channel)
    channel.close()
    hear(channel)
    expect(living.size).toBe(0)
  })
})

test('does not keep a process alive', () => {
  const source = new URL('../../src/channels/broadcast.ts', import.meta.url).href
  const code = `
    const { broadcastChannel } = await import(${JSON.stringify(source)})
    const channel = broadcastChannel('a')
    channel.subscribe('t', () => {})
    channel.publish('t', { n: 1 })
    console.log('done')`
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], {
    cwd: root,
    encoding: 'utf8',
    timeout: 20_000,
  })
  expect({ stdout, stderr, status }).toEqual({ stdout: 'done\n', stderr: '', status: 0 })
}, 30_000)

test('hints that are missing because the engine’s channel cannot be opened come back once it can be', async () => {
  const real = BroadcastChannel
  const said: (string | undefined)[] = []
  let denied = true
  vi.stubGlobal(
    'BroadcastChannel',
    class extends real {
      constructor(name: string) {
        if (denied) throw new DOMException('not here', 'InvalidStateError')
        super(name)
      }
    },
  )
  const channel = broadcastChannel(name, (error) => said.push(error?.message))
  opened.push(channel)
  const { until } = hear(channel)
  channel.publish('t', { n: 1 })
  expect(said).toEqual(['not here', 'not here'])
  denied = false
  channel.publish('elsewhere', { n: 2 })
  expect(said.slice(2)).toEqual([undefined])
  open().publish('t', { n: 3 })
  expect(await until(3)).toEqual([3])
})
