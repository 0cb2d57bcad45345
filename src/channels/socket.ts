import { randomBytes } from 'node:crypto'
import type { Channel, Message } from '../store.ts'
import { inProcessChannel } from './in-process.ts'
import { missed } from './message.ts'
import { encodeFrame, type Frame } from './socket/frames.ts'
import { type Inbox, openInbox } from './socket/inbox.ts'
import { Peers } from './socket/peers.ts'
import { openPlace, type Place } from './socket/place.ts'

interface Topic {
  /** Missing while sockets are unavailable. */
  inbox: Inbox | undefined
  /** How many subscriptions the topic has here. */
  listeners: number
  /** The number of each sender's last message: messages over a new connection may overtake the rest of those over the old one. */
  readonly heard: Map<string, number>
}

/** Messages that still have to go to subscribers that are not known yet. */
interface Late {
  /** The subscribers that got the messages at once. */
  readonly known: readonly string[]
  readonly lines: string[]
}

/** For how many senders of a topic the last number is kept. */
const maxSenders = 1_000
/** How long we wait before we search for unknown subscribers, in ms. */
const moment = 2
/** How often we check that the sockets are there, in ms. */
const care = 5_000
/** How many sockets of other processes a new channel checks, to remove those that were left behind. */
const sweeps = 8

export interface SocketChannel extends Channel {
  /**
   * Calls `ended` once when another channel's subscription to a topic ends, for example because its process dies, or cannot be reached, with how long
   * it was connected, in ms. @returns how to stop listening; undefined if there is no such subscription
   */
  attend(topic: string, ended: (lasted: number) => void): (() => void) | undefined
  /** Ends all subscriptions and connections. Resolves when all published messages have been sent. */
  close(): Promise<void>
}

/**
 * A channel between the processes, and threads, of one user on one machine, through unix sockets or named pipes.
 *
 * Best effort: a message reaches subscribers that subscribed before it was published and read their socket, usually within 0.1 ms. It carries JSON; a
 * message of more than 16,384 bytes, with its topic, is dropped. Messages of one publisher keep their order. A subscriber that does not read loses
 * messages. A connection that carries anything but messages, or more than 2 MiB in a second, is dropped. The channel keeps no process alive.
 *
 * @param identity channels with the same identity reach each other
 * @param degraded is called with the reason in words when sockets are unavailable, so that no messages arrive; and with `undefined` once they work
 * again, which is tried every few seconds
 */
export function socketChannel(identity: string, degraded: (why: string | undefined) => void, bases?: readonly string[]): SocketChannel {
  const sender = randomBytes(9).toString('base64url')
  const here = inProcessChannel()
  const topics = new Map<string, Topic>()
  const late = new Map<string, Late>()
  let place: Place | undefined
  let peers: Peers | undefined
  /** Resolves when everything written to closed connections has been sent. */
  let left: Promise<unknown> = Promise.resolve()
  let numbers = 0
  /** Whether sockets are unavailable for now, until when they are not tried again, and whether it was reported. */
  let broken = false
  let brokenUntil = 0
  let told = false
  let closed = false
  let swept = false
  let caring: NodeJS.Timeout | undefined

  const fail = (error: unknown): void => {
    if (closed) return
    broken = true
    brokenUntil = performance.now() + care
    if (told) return
    told = true
    degraded((error as Error).message)
  }

  const opened = (): void => {
    if (!told || broken) return
    told = false
    degraded(undefined)
  }

  /** Opens the directory at the first use, so that a process that never needs it leaves nothing behind. */
  const meet = (): { place: Place; peers: Peers } | undefined => {
    if (closed || performance.now() < brokenUntil) return undefined
    try {
      place ??= openPlace(identity, bases)
      peers ??= new Peers(place)
      return { place, peers }
    } catch (error) {
      fail(error)
      return undefined
    }
  }

  const take = ({ topic, sender, number, message }: Frame): void => {
    const found = topics.get(topic)
    if (!found || number <= (found.heard.get(sender) ?? 0)) return
    if (found.heard.size >= maxSenders) found.heard.clear()
    found.heard.set(sender, number)
    here.deliver(topic, message)
  }

  const open = (topic: string): Inbox | undefined => {
    const met = meet()
    try {
      return met && openInbox(met.place, topic, { take, failed: fail, opened })
    } catch (error) {
      fail(error)
      return undefined
    }
  }

  const openTopic = (topic: string): Topic => {
    const made: Topic = { inbox: open(topic), listeners: 0, heard: new Map() }
    topics.set(topic, made)
    caring ??= setInterval(takeCare, care).unref()
    if (!broken && !swept) setTimeout(sweep, 1_000).unref()
    swept = true
    return made
  }

  /** Opens sockets again that failed, for example for lack of file descriptors, or that get no new connections because their file was removed. */
  const takeCare = (): void => {
    broken = false
    brokenUntil = 0
    const deaf = [...topics].filter(([, { inbox }]) => !inbox || !place?.has(inbox.name))
    for (const [topic, found] of deaf) {
      if (broken) return
      found.inbox?.close()
      found.inbox = open(topic)
      if (found.inbox) here.deliver(topic, missed)
    }
    if (!deaf.length) opened()
  }

  /** Connects to see which subscribers are gone; only to a few, so that many processes that start together do not all try all of them. */
  const sweep = (): void => {
    const met = meet()
    if (!met) return
    const old = met.place.old()
    const start = Math.floor(Math.random() * old.length)
    for (const name of [...old.slice(start), ...old.slice(0, start)].slice(0, sweeps)) met.peers.knock(name)
  }

  /** The other subscribers of a topic. */
  const othersOf = ({ place }: { place: Place }, topic: string): readonly string[] => {
    const mine = topics.get(topic)?.inbox?.name
    return place.find(topic).filter((name) => name !== mine)
  }

  /**
   * Known subscribers get the message at once, since searching for others takes as long as everything else. The others get it a moment later, since a
   * process that was woken usually runs only after this one yields the CPU. The list of known subscribers stays the same until then; otherwise one
   * that is found in between would get the last message before the first.
   */
  const send = ({ place, peers }: { place: Place; peers: Peers }, topic: string, line: string): void => {
    const mine = topics.get(topic)?.inbox?.name
    const begun = late.get(topic)
    const known = begun?.known ?? place.known(topic)
    for (const name of known.length ? known : place.find(topic)) if (name !== mine) peers.send(name, line)
    if (begun) begun.lines.push(line)
    else if (known.length && late.set(topic, { known, lines: [line] }).size === 1) setTimeout(sendLate, moment)
  }

  const sendLate = (): void => {
    const met = late.size ? meet() : undefined
    for (const [topic, { known, lines }] of late) {
      const others = met ? othersOf(met, topic).filter((name) => !known.includes(name)) : []
      for (const name of others) for (const line of lines) met?.peers.send(name, line)
    }
    late.clear()
  }

  const closeTopic = (topic: string, { inbox }: Topic): void => {
    topics.delete(topic)
    inbox?.close()
    if (topics.size) return
    clearInterval(caring)
    caring = undefined
    disconnect()
  }

  const disconnect = (): void => {
    sendLate()
    const leaving = peers?.close() ?? Promise.resolve()
    left = Promise.all([left, leaving])
    peers = undefined
    place?.leave()
  }

  return {
    trusted: true,
    publish(topic, message) {
      try {
        const line = encodeFrame({ topic, sender, number: ++numbers, message })
        if (line === undefined) return
        // Local subscribers, too, get the message as it comes out of JSON.
        if (topics.has(topic)) here.publish(topic, (JSON.parse(line) as [string, string, number, Message])[3])
        const met = meet()
        if (met) send(met, topic, line)
      } catch {
        // The hint is lost.
      }
    },
    subscribe(topic, listener) {
      if (closed) return () => {}
      const found = topics.get(topic) ?? openTopic(topic)
      const stop = here.subscribe(topic, listener)
      found.listeners += 1
      let listening = true
      return () => {
        if (!listening) return
        listening = false
        stop()
        found.listeners -= 1
        if (!found.listeners && topics.get(topic) === found) closeTopic(topic, found)
      }
    },
    attend(topic, ended) {
      const met = meet()
      if (!met) return undefined
      const stops: (() => void)[] = []
      let told = false
      const stop = (): void => {
        for (const each of stops) each()
      }
      const tell = (lasted: number): void => {
        if (told) return
        told = true
        stop()
        ended(lasted)
      }
      for (const name of othersOf(met, topic)) stops.push(met.peers.attend(name, tell))
      return stops.length ? stop : undefined
    },
    async close() {
      for (const [topic, found] of topics) closeTopic(topic, found)
      disconnect()
      closed = true
      await left
    },
  }
}
