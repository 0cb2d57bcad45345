import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { atEnd } from '../server/world.ts'

/** A way to a server on which what is sent may get stuck, and arrive later, although its sender has gone. */
export interface Gate {
  readonly url: string
  /** From now on nothing arrives. */
  hold(): void
  /** All that is stuck arrives, and everything after it. */
  open(): void
  /** Nothing arrives any more, and all connections break. */
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
    // The server reads what had been sent, and only then that nobody waits for it.
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
