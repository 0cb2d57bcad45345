import { connect, type Socket } from 'node:net'
import type { Place } from './place.ts'

/** The most idle connections; a connection with an `attend` listener does not count. */
const maxIdle = 256
/** The most bytes that wait for a peer that does not read, and for how long, in ms. */
const maxPending = 2 ** 20
const patience = 1_000

interface Peer {
  readonly socket: Socket
  /** When it was connected; undefined until then. */
  since: number | undefined
  readonly attended: Set<(lasted: number) => void>
}

/** Connections to other subscribers' sockets, kept open for reuse. */
export class Peers {
  readonly #place: Place
  readonly #open = new Map<string, Peer>()

  constructor(place: Place) {
    this.#place = place
  }

  send(name: string, line: string): void {
    const { socket } = this.#peer(name)
    if (socket.writableLength < maxPending) socket.write(line)
  }

  /**
   * Calls `ended` once when the connection ends or cannot be made, with how long it lasted, in ms.
   * @returns how to stop listening
   */
  attend(name: string, ended: (lasted: number) => void): () => void {
    const { attended } = this.#peer(name)
    attended.add(ended)
    return () => attended.delete(ended)
  }

  /** Connects for a moment, to find out whether the socket was left behind. */
  knock(name: string): void {
    if (this.#open.has(name)) return
    const { socket } = this.#peer(name)
    this.#open.delete(name)
    socket.end()
  }

  /** Closes each connection once everything written has been sent. Resolves when all are closed, also if a peer does not read. */
  async close(): Promise<void> {
    const peers = [...this.#open.values()]
    this.#open.clear()
    await Promise.all(
      peers.map(
        ({ socket }) =>
          new Promise<void>((resolve) => {
            socket.once('close', () => resolve())
            socket.end(() => socket.destroy())
          }),
      ),
    )
  }

  #peer(name: string): Peer {
    const known = this.#open.get(name)
    if (known) return known
    const socket = connect(this.#place.address(name)).unref()
    const peer: Peer = { socket, since: undefined, attended: new Set() }
    socket.once('connect', () => {
      peer.since = performance.now()
    })
    socket.once('error', (error) => {
      this.#place.refused(name, error)
      socket.destroy()
    })
    // A subscriber never sends anything.
    socket.on('data', () => socket.destroy())
    socket.setTimeout(patience, () => {
      if (socket.writableLength || socket.writableEnded) socket.destroy()
    })
    socket.once('close', () => {
      if (this.#open.get(name) === peer) this.#open.delete(name)
      const lasted = peer.since === undefined ? 0 : performance.now() - peer.since
      for (const ended of [...peer.attended]) ended(lasted)
    })
    this.#makeRoom()
    this.#open.set(name, peer)
    return peer
  }

  /** Closes the oldest idle connection. */
  #makeRoom(): void {
    if (this.#open.size < maxIdle) return
    for (const [name, { socket, attended }] of this.#open) {
      if (attended.size) continue
      this.#open.delete(name)
      socket.end()
      return
    }
  }
}
