import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { broadcastChannel } from '../../src/channels/broadcast.ts'
import { inProcessChannel } from '../../src/channels/in-process.ts'
import { socketChannel } from '../../src/channels/socket.ts'
import type { Channel, Message } from '../../src/store.ts'

/** A place where channels meet: all channels that `open` returns reach each other. */
interface Meeting {
  open(): Channel
  close(): unknown
}

let names = 0

const meetings: Readonly<Record<string, () => Meeting>> = {
  'an in-process channel'() {
    const shared = inProcessChannel()
    return { open: () => shared, close() {} }
  },
  'a broadcast channel'() {
    const name = `channels ${names++}`
    const opened: { close(): void }[] = []
    return {
      open() {
        const channel = broadcastChannel(name)
        opened.push(channel)
        return channel
      },
      close() {
        for (const channel of opened) channel.close()
      },
    }
  },
  'a socket channel'() {
    const base = mkdtempSync(join(tmpdir(), 'sl-'))
    const opened: { close(): Promise<void> }[] = []
    return {
      open() {
        const degraded = (why: string | undefined): never => {
          throw new Error(why)
        }
        const channel = socketChannel('db', degraded, [base])
        opened.push(channel)
        return channel
      },
      async close() {
        await Promise.all(opened.map((channel) => channel.close()))
        rmSync(base, { recursive: true })
      },
    }
  },
}

/** Subscribes, and collects the messages. */
function listen(channel: Channel, topic = 't'): Message[] {
  const heard: Message[] = []
  channel.subscribe(topic, (message) => heard.push(message))
  return heard
}

const hears = (heard: Message[], expected: readonly Message[]) => vi.waitFor(() => expect(heard).toEqual(expected), { timeout: 5_000, interval: 2 })

/** The largest message allowed on a topic, plus `more` bytes. */
function messageOf(topic: string, more = 0): Message {
  const rest = JSON.stringify(topic).length + JSON.stringify({ text: '' }).length
  return { text: 'x'.repeat(16_384 - rest + more) }
}

describe.each(Object.entries(meetings))('T4: %s', (_, meet) => {
  let meeting: Meeting
  let one: Channel
  let two: Channel

  beforeEach(() => {
    meeting = meet()
    one = meeting.open()
    two = meeting.open()
  })
  afterEach(() => meeting.close())

  test('carries a message to all subscribers, including the publisher’s own, and gives each its own copy', async () => {
    const all = [listen(one), listen(one), listen(two), listen(meeting.open())]
    const message = { text: 'a\nb ü 😀', number: -0.5, yes: true, no: false, none: null, empty: '' }
    one.publish('t', message)
    for (const heard of all) await hears(heard, [message])
    expect(new Set([message, ...all.map(([copy]) => copy)]).size).toBe(5)
  })

  test('carries a message as it was when it was published', async () => {
    const all = [listen(one), listen(two)]
    const message = { n: 1 }
    one.publish('t', message)
    message.n = 2
    for (const heard of all) await hears(heard, [{ n: 1 }])
  })

  test('calls no listener within publish', async () => {
    const heard = listen(one)
    one.publish('t', { n: 1 })
    expect(heard).toEqual([])
    await hears(heard, [{ n: 1 }])
  })

  test('keeps the order of each publisher on a topic', async () => {
    const heard = listen(two)
    const three = meeting.open()
    const sent = Array.from({ length: 500 }, (_, n) => n)
    for (const n of sent) {
      one.publish('t', { by: 'one', n })
      three.publish('t', { by: 'three', n })
    }
    await vi.waitFor(() => expect(heard).toHaveLength(1_000), { timeout: 5_000 })
    for (const publisher of ['one', 'three']) expect(heard.filter(({ by }) => by === publisher).map(({ n }) => n)).toEqual(sent)
  })

  test('carries everything that is published after a listener has subscribed', async () => {
    const first = listen(two)
    one.publish('t', { n: 1 })
    await hears(first, [{ n: 1 }])
    const second = listen(meeting.open())
    one.publish('t', { n: 2 })
    one.publish('another', { n: 0 })
    one.publish('t', { n: 3 })
    await hears(second, [{ n: 2 }, { n: 3 }])
  })

  test.each(['', ' ', '../t', 'T', 'tt', '\0', '\n', 'ü', '__proto__', 'constructor', 'x'.repeat(1_000)])('keeps topic %j apart', async (topic) => {
    const [right, wrong] = [listen(two, topic), listen(two)]
    one.publish(topic, { n: 1 })
    one.publish('t', { n: 2 })
    await hears(right, [{ n: 1 }])
    await hears(wrong, [{ n: 2 }])
  })

  test('carries 16,384 bytes, a message and its topic as JSON', async () => {
    const all = [listen(one), listen(two)]
    one.publish('t', messageOf('t'))
    for (const heard of all) await hears(heard, [messageOf('t')])
  })

  test.each<[string, unknown]>([
    ['nothing', null],
    ['no value', undefined],
    ['a text', 'text'],
    ['a list', [1]],
    ['a function', () => {}],
    ['an object in it', { deep: {} }],
    ['a list in it', { deep: [] }],
    ['a function in it', { run() {} }],
    ['a bigint in it', { n: 1n }],
    ['no value in it', { n: undefined }],
  ])('silently drops what is not a message, and carries the next: %s', async (_, wrong) => {
    const all = [listen(one), listen(two)]
    one.publish('t', { n: 1 })
    one.publish('t', wrong as Message)
    one.publish('t', { n: 2 })
    for (const heard of all) await hears(heard, [{ n: 1 }, { n: 2 }])
  })

  test('is not disturbed by a listener that throws, or that changes the message', async () => {
    for (const channel of [one, two]) {
      channel.subscribe('t', (message) => {
        Object.assign(message, { n: 'changed' })
        throw new Error('a listener failed')
      })
    }
    const all = [listen(one), listen(two)]
    one.publish('t', { n: 1 })
    one.publish('t', { n: 2 })
    for (const heard of all) await hears(heard, [{ n: 1 }, { n: 2 }])
  })

  test('does not call a listener that unsubscribed, even for messages already on their way', async () => {
    const heard: Message[] = []
    const stops = [one, two].map((channel) => channel.subscribe('t', (message) => heard.push(message)))
    const others = [listen(one), listen(two)]
    one.publish('t', { n: 1 })
    for (const stop of [...stops, ...stops]) stop()
    for (const other of others) await hears(other, [{ n: 1 }])
    expect(heard).toEqual([])
  })

  test('calls a function once for each of its subscriptions', async () => {
    const heard: Message[] = []
    const listener = (message: Message): unknown => heard.push(message)
    const [stop] = [two.subscribe('t', listener), two.subscribe('t', listener)]
    one.publish('t', { n: 1 })
    await hears(heard, [{ n: 1 }, { n: 1 }])
    stop()
    stop()
    one.publish('t', { n: 2 })
    await hears(heard, [{ n: 1 }, { n: 1 }, { n: 2 }])
  })

  test('can be used from inside a listener: to publish, to unsubscribe and to subscribe', async () => {
    const answers = listen(one, 'answer')
    const stop = two.subscribe('t', ({ n }) => {
      stop()
      two.subscribe('later', (message) => two.publish('answer', message))
      two.publish('answer', { n: n as number })
    })
    one.publish('t', { n: 1 })
    one.publish('t', { n: 2 })
    await hears(answers, [{ n: 1 }])
    one.publish('later', { n: 3 })
    await hears(answers, [{ n: 1 }, { n: 3 }])
  })
})
