import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** Stands between clients and a server of this machine. */
export interface Proxy {
  readonly port: number
  /** The port that new connections lead to. */
  target: number
  /** Nothing is carried any more, as if a cable had been pulled; connections stay. */
  silent: boolean
  /** Resets all connections. */
  cut(): void
  close(): void
}

export async function startProxy(target: number): Promise<Proxy> {
  const sockets = new Set<Socket>()
  const pass = (from: Socket, to: Socket): void => {
    sockets.add(from)
    from.on('data', (chunk) => void (proxy.silent || to.write(chunk)))
    from.on('error', () => {})
    from.on('close', () => {
      sockets.delete(from)
      to.destroy()
    })
  }
  const server = createServer((near) => {
    const far = connect(proxy.target, '127.0.0.1')
    pass(near, far)
    pass(far, near)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const proxy: Proxy = {
    port: (server.address() as AddressInfo).port,
    target,
    silent: false,
    cut() {
      for (const socket of sockets) socket.resetAndDestroy()
    },
    close() {
      server.close()
      proxy.cut()
    },
  }
  return proxy
}
