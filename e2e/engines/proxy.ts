import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A proxy on this machine by which an engine that knows no names but those of the system comes to it under any name. */
export interface Proxy {
  /** As `host:port`. */
  readonly address: string
  close(): void
}

export async function startProxy(): Promise<Proxy> {
  const server = createServer((asked, response) => {
    const { port, pathname, search } = new URL(asked.url ?? '')
    const { method, headers } = asked
    const passed = request({ host: '127.0.0.1', port, path: pathname + search, method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    passed.once('error', () => response.destroy())
    response.once('close', () => passed.destroy())
    asked.pipe(passed)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { address, port } = server.address() as AddressInfo
  return {
    address: `${address}:${port}`,
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}
