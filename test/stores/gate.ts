import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { atEnd } from '../server/world.ts'

/** A relay to a server that can hold data back and deliver it later, even after the sender has gone. */
export interface Gate {
  readonly url: string
  /** How many connections it has accepted. */
  readonly connections: number
  /** Holds back all data from now on. */
  hold(): void
  /** Delivers the data held back in order, each request after the answer to the one before, and then lets new data through. */
  open(): Promise<void>
  /** Breaks all connections, and accepts no new ones. */
  close(): void
}

/** Sends a request. Resolves when it is answered, or its connection is gone. */
const ask = (server: Socket, request: Buffer): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => resolve()
    if (server.destroyed) done()
    server.once('data', done).once('close', done).write(request)
  })

export async function gateTo(url: string): Promise<Gate> {
  const { port } = new URL(url)
  const stuck: (() => unknown)[] = []
  const sockets = new Set<Socket>()
  let held = false
  const pass = (step: () => unknown): void => {
    if (held) stuck.push(step)
    else step()
  }
  const server = createServer((client) => {
    gate.connections++
    const there = connect(Number(port), '127.0.0.1')
    for (const socket of [client, there]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => sockets.delete(socket))
    }
    client.on('data', (data) => (held ? stuck.push(() => ask(there, data)) : there.write(data)))
    // The server receives the data first, and learns only then that the client has gone.
    client.on('close', () => pass(() => there.end()))
    there.on('data', (data) => pass(() => client.writable && client.write(data)))
    there.on('close', () => client.destroy())
  })
  const gate = {
    url: '',
    connections: 0,
    hold() {
      held = true
    },
    async open() {
      while (stuck.length) await stuck.shift()?.()
      held = false
    },
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return atEnd(Object.assign(gate, { url: `http://127.0.0.1:${(server.address() as { port: number }).port}` }))
}
