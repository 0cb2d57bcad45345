import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Site {
  readonly origin: string
  close(): Promise<void>
}

/**
 * Serves the tabs' page. Loopback is a secure context, which Web Locks need; and only an HTTP response can make the browser clear an origin's
 * storage.
 */
export async function openSite(script: string): Promise<Site> {
  const server = createServer(({ url }, response) => {
    if (url === '/page.js') response.setHeader('Content-Type', 'text/javascript').end(script)
    else if (url === '/logout') response.setHeader('Clear-Site-Data', '"storage"').end()
    else response.setHeader('Content-Type', 'text/html').end('<!doctype html><title>nemesis</title><script type="module" src="page.js"></script>')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
