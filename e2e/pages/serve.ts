import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { createServer, type Plugin } from 'vite'
import { insecureHost } from '../engines/engine.ts'

export interface Site {
  /** Of the page that has `storelock` as a global. */
  readonly url: string
  close(): Promise<void>
}

/** Serves the pages for tests, from the sources, to this machine only and on a free port. With `?sandboxed` a page has an opaque origin. */
export async function servePages(): Promise<Site> {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const server = await createServer({
    root,
    configFile: `${root}vite.config.ts`,
    logLevel: 'error',
    plugins: [pagesAsTheyAre(root), clearing],
    // A sandboxed page, which has an origin of its own, may load our modules too.
    server: { port: 0, ws: false, hmr: false, watch: null, cors: true, allowedHosts: [insecureHost] },
  })
  await server.listen()
  const [origin = ''] = server.resolvedUrls?.local ?? []
  return { url: new URL('e2e/pages/index.html', origin).href, close: () => server.close() }
}

/** Vite would add its own client to a page, whose connection fails here, and Firefox tells that as an error of the page. */
const pagesAsTheyAre = (root: string): Plugin => ({
  name: 'pages as they are',
  configureServer({ middlewares }) {
    middlewares.use(async ({ url = '' }, response, next) => {
      const { pathname, searchParams } = new URL(url, 'http://pages')
      if (!/^\/e2e\/.*\.html$/.test(pathname)) return next()
      const page = await readFile(`${root}${pathname.slice(1)}`).catch(() => undefined)
      if (!page) return next()
      if (searchParams.has('sandboxed')) response.setHeader('Content-Security-Policy', 'sandbox allow-scripts')
      response.setHeader('Content-Type', 'text/html').end(page)
    })
  },
})

/** A page that asks for this path has what its origin stored cleared away, as a person can do. */
const clearing: Plugin = {
  name: 'clearing',
  configureServer({ middlewares }) {
    middlewares.use('/clear-site-data', (_, response) => {
      response.setHeader('Clear-Site-Data', '"storage"').end()
    })
  },
}
