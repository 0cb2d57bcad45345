import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { build, type Rolldown } from 'vite'

export interface BareSite {
  /** Of an empty page. */
  readonly url: string
  /** Of the same page, for a browser on another site. */
  readonly foreignUrl: string
  close(): Promise<void>
}

/** Serves an empty page, and what tests do there as `/steps.js`, to this machine only: nothing on the page is anybody else's. */
export async function serveBare(): Promise<BareSite> {
  const steps = await bundle()
  const server = createServer(({ url }, response) => {
    // A page without an origin needs leave to import.
    response.setHeader('Access-Control-Allow-Origin', '*')
    response.setHeader('Content-Type', url === '/steps.js' ? 'text/javascript' : 'text/html')
    response.end(url === '/steps.js' ? steps : '<!doctype html><link rel="icon" href="data:,"><title>an empty page</title>')
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

async function bundle(): Promise<string> {
  const entry = fileURLToPath(new URL('steps.ts', import.meta.url))
  const configFile = fileURLToPath(new URL('../../../vite.config.ts', import.meta.url))
  const built = await build({
    configFile,
    logLevel: 'error',
    build: { write: false, minify: false, lib: { entry, formats: ['es'], fileName: 'steps' } },
  })
  const [{ output }] = built as [Rolldown.RolldownOutput]
  return output[0].code
}
