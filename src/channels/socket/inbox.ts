import { createServer, type Server, type Socket } from 'node:net'
import { type Frame, frameReader } from './frames.ts'
import type { Place } from './place.ts'

/** Connections at once, at most. */
const maxConnections = 1_000
/** What one connection may send in a second, in UTF-16 code units: far more than hints ever take. */
const maxRate = 2 ** 21

/** One subscriber's end: others connect to it and write. */
export interface Inbox {
  readonly name: string
  close(): void
}

export interface InboxEvents {
  take(frame: Frame): void
  /** What goes wrong with the socket shows only later. */
  failed(error: Error): void
  opened(): void
}

/**
 * Opens a socket for a topic. It is there when this returns.
 * @throws Error that says what is wrong with the place
 */
export function openInbox(place: Place, topic: string, { take, failed, opened }: InboxEvents): Inbox {
  const name = place.claim(topic)
  const connections = new Set<Socket>()
  let tries = 0
  let closed = false
  const fail = (error: Error): void => {
    place.free(name)
    failed(error)
  }
  const server: Server = createServer((socket) => {
    socket.unref()
    connections.add(socket)
    socket.once('close', () => connections.delete(socket))
    socket.on('error', () => socket.destroy())
    receive(socket, take)
  })
  server.maxConnections = maxConnections
  // A worker of `node:cluster` would leave the socket to its primary, which no death of the worker closes.
  const listen = (): void => {
    tries += 1
    place.prepare(name)
    server.listen({ path: place.address(name), exclusive: true })
    server.unref()
  }
  server.on('listening', () => closed || opened())
  server.on('error', (error) => {
    // Only a connection that could not be taken, or nobody's business any more.
    if (server.listening || closed) return
    if (tries === 2) return fail(error)
    // Whoever left last may have removed the directory just when it was made; of what that is called, systems differ.
    try {
      listen()
    } catch (second) {
      fail(second as Error)
    }
  })
  listen()
  return {
    name,
    close() {
      closed = true
      server.close()
      for (const socket of connections) socket.destroy()
      place.free(name)
    },
  }
}

/** Reads as long as what comes makes sense and comes no faster than anyone has to say. */
function receive(socket: Socket, take: (frame: Frame) => void): void {
  const read = frameReader(take)
  let since = 0
  let received = 0
  socket.setEncoding('utf8')
  socket.on('data', (piece) => {
    const now = performance.now()
    if (now - since > 1_000) {
      since = now
      received = 0
    }
    received += piece.length
    if (received > maxRate || !read(String(piece))) socket.destroy()
  })
}
