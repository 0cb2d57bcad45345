import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'

const root = fileURLToPath(new URL('page', import.meta.url))
const configFile = fileURLToPath(new URL('../vite.config.ts', import.meta.url))
const types: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' }

export interface Site {
  readonly url: string
  close(): Promise<void>
}

/** Builds the page into `directory` and serves it, to this machine only. Port 0 takes a free one. */
export async function openSite(directory: string, port = 0): Promise<Site> {
  const outDir = join(directory, 'page')
  await build({ root, configFile, logLevel: 'error', build: { outDir, emptyOutDir: true } })
  const files = await filesIn(outDir)

  // Not vite's own `preview`, which ends the process by itself on SIGTERM, before anything else is cleaned up.
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    const path = pathname.endsWith('/') ? `${pathname}index.html` : pathname
    const content = files.get(path)
    response.writeHead(content === undefined ? 404 : 200, { 'content-type': `${types[extname(path)] ?? 'text/plain'}; charset=utf-8` })
    response.end(content ?? 'not found')
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

async function filesIn(directory: string): Promise<Map<string, Buffer>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  return new Map(await Promise.all(paths.map(async (path) => [`/${relative(directory, path).split(sep).join('/')}`, await readFile(path)] as const)))
}
