import { fileURLToPath } from 'node:url'
import { createServer } from 'vite'

export interface Site {
  /** Of the page that has `storelock` as a global. */
  readonly url: string
  close(): Promise<void>
}

/** Serves the pages for tests, from the sources, to this machine only and on a free port. */
export async function servePages(): Promise<Site> {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const server = await createServer({
    root,
    configFile: `${root}vite.config.ts`,
    logLevel: 'error',
    server: { port: 0, ws: false, hmr: false, watch: null },
  })
  await server.listen()
  const [origin = ''] = server.resolvedUrls?.local ?? []
  return { url: new URL('e2e/pages/index.html', origin).href, close: () => server.close() }
}
