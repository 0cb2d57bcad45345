import { createServer, type Server, type Socket } from 'node:net'
import { type Frame, frameReader } from './frames.ts'
import type { Place } from './place.ts'

/** The most connections at once. */
const maxConnections = 1_000
/** The most that one connection may send in a second, in UTF-16 code units: far more than hints ever need. */
const maxRate = 2 ** 21

/** One subscriber's socket: publishers connect to it and write. */
export interface Inbox {
  readonly name: string
  close(): void
}

export interface InboxEvents {
  take(frame: Frame): void
  /** The socket failed after it was opened. */
  failed(error: Error): void
  opened(): void
}

/**
 * Opens a socket for a topic. The socket exists when this function returns.
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
  // Without `exclusive`, a worker of `node:cluster` would leave the socket to its primary, so the worker's death would not close it.
  const listen = (): void => {
    tries += 1
    place.prepare(name)
    server.listen({ path: place.address(name), exclusive: true })
    server.unref()
  }
  server.on('listening', () => closed || opened())
  server.on('error', (error) => {
    // Either one connection could not be accepted, or the inbox is closed.
    if (server.listening || closed) return
    if (tries === 2) return fail(error)
    // Another process that left may have removed the directory just after it was made; the error's code differs between systems.
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

/** Reads as long as the data is valid and does not come faster than any hints would. */
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
