import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, relative, sep } from 'node:path'

const types: Readonly<Record<string, string>> = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' }

/** Allows nothing from other origins, no inline code, and no framing. The heartbeats of a hidden page need a worker from a `blob:` URL. */
const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; worker-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

export interface Site {
  readonly url: string
  close(): void
}

/**
 * Serves the files of a folder, as they are at the start, to this machine only.
 *
 * @param port 0 takes a free one
 */
export async function serveFolder(folder: string, port = 0): Promise<Site> {
  const files = filesIn(folder)
  const server = createServer((request, response) => {
    const [path = '/'] = (request.url ?? '/').split('?')
    const name = path === '/' ? '/index.html' : path
    const content = files.get(name)
    response.writeHead(content === undefined ? 404 : 200, {
      'content-type': `${types[extname(name)] ?? 'text/plain'}; charset=utf-8`,
      'content-security-policy': policy,
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
    })
    response.end(content ?? 'not found')
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

function filesIn(folder: string): Map<string, Buffer> {
  if (!existsSync(folder)) return new Map()
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const paths = entries.map((entry) => join(entry.parentPath, entry.name))
  return new Map(paths.map((path) => [`/${relative(folder, path).split(sep).join('/')}`, readFileSync(path)]))
}
