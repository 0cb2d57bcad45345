import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { build, type Rolldown } from 'vite'

export interface BareSite {
  /** The URL of an empty page. With `?watched` it counts listeners, timers and channels; with `?poor` it has no IndexedDB. */
  readonly url: string
  /** The URL of the same page on another site. */
  readonly foreignUrl: string
  close(): Promise<void>
}

const page = '<!doctype html><link rel="icon" href="data:,"><title>an empty page</title><script type="module" src="/start.js"></script>'

/**
 * Serves an empty page and the tests' steps, to this machine only. No other code runs on the page.
 * @param start the page's script, bundled as an app would bundle it
 */
export async function serveBare(start = new URL('start.ts', import.meta.url)): Promise<BareSite> {
  const scripts = await bundle(fileURLToPath(start))
  const server = createServer(({ url = '' }, response) => {
    const script = scripts.get(url)
    // A page with an opaque origin may import modules only with CORS.
    response.setHeader('Access-Control-Allow-Origin', '*')
    response.setHeader('Content-Type', script === undefined ? 'text/html' : 'text/javascript')
    response.end(script ?? page)
  })
  server.listen(0, 'localhost')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/`,
    foreignUrl: `http://localhost:${port}/`,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** The scripts by their paths: the first one, and those that it imports later. */
async function bundle(entry: string): Promise<Map<string, string>> {
  const configFile = fileURLToPath(new URL('../../../vite.config.ts', import.meta.url))
  const built = await build({
    configFile,
    logLevel: 'error',
    build: { write: false, minify: false, lib: { entry, formats: ['es'], fileName: 'start' } },
  })
  const [{ output }] = built as [Rolldown.RolldownOutput]
  return new Map(output.flatMap((file) => (file.type === 'chunk' ? [[`/${file.fileName}`, file.code]] : [])))
}
