import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { atEnd } from '../server/world.ts'

/** A relay to a server that can hold data back and deliver it later, even after the sender has gone. */
export interface Gate {
  readonly url: string
  /** Holds back all data from now on. */
  hold(): void
  /** Delivers the data held back, and lets new data through. */
  open(): void
  /** Breaks all connections, and accepts no new ones. */
  close(): void
}

export async function gateTo(url: string): Promise<Gate> {
  const { port } = new URL(url)
  const stuck: (() => void)[] = []
  const sockets = new Set<Socket>()
  let held = false
  const pass = (step: () => void): void => {
    if (held) stuck.push(step)
    else step()
  }
  const server = createServer((client) => {
    const there = connect(Number(port), '127.0.0.1')
    for (const socket of [client, there]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => sockets.delete(socket))
    }
    client.on('data', (data) => pass(() => there.write(data)))
    // The server receives the data first, and learns only then that the client has gone.
    client.on('close', () => pass(() => there.end()))
    there.on('data', (data) => pass(() => client.writable && client.write(data)))
    there.on('close', () => client.destroy())
  })
  const gate: Gate = {
    url: '',
    hold() {
      held = true
    },
    open() {
      held = false
      for (const step of stuck.splice(0)) step()
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
