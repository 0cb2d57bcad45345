import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** A proxy between clients and a server on this machine. */
export interface ServerProxy {
  readonly port: number
  /** The server's port for new connections. */
  target: number
  /** While set, no data passes, as if a cable were pulled; connections stay open. */
  silent: boolean
  /** By how much the proxy delays all data, in ms. */
  delay: number
  /** The number of round trips. Requests count as one while an earlier one is still unanswered. */
  trips: number
  /** Resets all connections. */
  cut(): void
  close(): void
}

export async function startProxy(target: number): Promise<ServerProxy> {
  const sockets = new Set<Socket>()
  /** The client ends of connections with an unanswered request. */
  const unanswered = new Set<Socket>()
  const pass = (from: Socket, to: Socket, isClient: boolean): void => {
    sockets.add(from)
    let last = Promise.resolve()
    from.on('data', (chunk) => {
      if (proxy.silent) return
      if (!isClient) unanswered.delete(to)
      else {
        if (!unanswered.size) proxy.trips++
        unanswered.add(from)
      }
      const due = performance.now() + proxy.delay
      // Keeps the order even after the delay has been reduced.
      last = last.then(() => (performance.now() < due ? sleep(due - performance.now()) : undefined)).then(() => void to.write(chunk))
    })
    from.on('error', () => {})
    from.on('close', () => {
      sockets.delete(from)
      unanswered.delete(from)
      to.destroy()
    })
  }
  const server = createServer((near) => {
    const far = connect(proxy.target, '127.0.0.1')
    pass(near, far, true)
    pass(far, near, false)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const proxy: ServerProxy = {
    port: (server.address() as AddressInfo).port,
    target,
    silent: false,
    delay: 0,
    trips: 0,
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
