import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { socketChannel } from '../../src/channels/socket.ts'
import { openBare } from '../sqlite/bare.ts'
import type { Locker, Peer, Place } from './peer.ts'

// Not locks, but only the messages and writes that a hand-off between two processes needs.

/** A byte over a unix socket between two processes: the cheapest way to wake a process. */
export const byte: Peer = {
  title: 'a byte over a raw unix socket',
  held: [1, 1],
  handoffs: 100,
  open: (place) => openByte(place, 'byte'),
}

/** The minimum for a lock in SQLite: a write that releases, a byte that says so, and a write that takes. */
export const byteAndWrites: Peer = {
  title: 'the floor: a bare transaction, that byte, and another bare transaction',
  held: [1, 1],
  handoffs: 100,
  async open(place) {
    const text = '1'.repeat(300)
    const inner = await openByte(place, 'floor')
    const bare = openBare(join(place.folder, 'bare.db'), 1, text)
    return {
      async acquire() {
        const release = await inner.acquire()
        bare.readModifyWrite(text)
        return () => {
          bare.readModifyWrite(text)
          release()
        }
      },
      close() {
        bare.close()
        return inner.close()
      },
    }
  },
}

/** A hint on our own channel, which should cost no more than a byte. */
export const publish: Peer = {
  title: 'channel.publish',
  held: [1, 1],
  handoffs: 100,
  async open({ folder, first }) {
    const channel = socketChannel(join(folder, 'locks.db'), (why) => {
      throw new Error(why)
    })
    const arrivals = baton(first)
    const [own, other] = first ? ['first', 'second'] : ['second', 'first']
    channel.subscribe(own, arrivals.arrived)
    return { acquire: () => arrivals.taken().then(() => () => channel.publish(other, { trial: 1 })), close: () => channel.close() }
  },
}

/** One end of a connection; the second process listens for the first. */
async function openByte({ folder, first }: Place, name: string): Promise<Locker> {
  const path = join(folder, name)
  const { arrived, taken } = baton(first)
  let socket: Socket | undefined
  const meet = (met: Socket): void => {
    socket = met.on('data', arrived).on('error', () => {})
  }
  const server = first ? undefined : createServer(meet).listen(path)
  if (server) await once(server, 'listening')
  else {
    meet(connect(path))
    await once(socket as unknown as Socket, 'connect')
  }
  return {
    async acquire() {
      await taken()
      return () => socket?.write('.')
    },
    close() {
      socket?.destroy()
      server?.close()
    },
  }
}

/** A baton that one of two processes has and the other waits for. */
function baton(here: boolean): { arrived(): void; taken(): Promise<void> } {
  let waiting: (() => void) | undefined
  return {
    arrived() {
      here = !waiting
      waiting?.()
      waiting = undefined
    },
    async taken() {
      if (!here) await new Promise<void>((resolve) => (waiting = resolve))
      here = false
    },
  }
}
