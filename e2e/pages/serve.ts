import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

export interface Site {
  /** The URL of the page that has `storelock` as a global. */
  readonly url: string
  close(): Promise<void>
}

const root = fileURLToPath(new URL('../..', import.meta.url))
const wasm = createRequire(import.meta.url).resolve('@sqlite.org/sqlite-wasm/sqlite3.wasm')
/** Bundles by their paths. A page is opened hundreds of times, and the sources do not change meanwhile. */
const scripts = new Map<string, Promise<string>>()

/** A script of a page or worker, bundled into one file: loading a hundred modules one by one takes longer than opening a tab. */
const scriptAt = (path: string): Promise<string> => {
  const bundling = scripts.get(path) ?? bundle(`${root}${path.slice(1)}`)
  scripts.set(path, bundling)
  return bundling
}

async function bundle(entry: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    format: 'esm',
    target: 'es2022',
    // The package declares that its modules have no side effects, but some modules of the tests do.
    ignoreAnnotations: true,
    write: false,
    logLevel: 'silent',
  })
  return outputFiles[0]?.text ?? ''
}

/** The content at a path: a page's file, or a bundled script. `undefined` if there is none. */
async function contentAt(path: string): Promise<{ type: string; text: string | Buffer } | undefined> {
  try {
    if (/^\/e2e\/.*\.html$/.test(path)) return { type: 'text/html', text: await readFile(`${root}${path.slice(1)}`, 'utf8') }
    if (/^\/e2e\/.*\.ts$/.test(path)) return { type: 'text/javascript', text: await scriptAt(path) }
    // Bundled scripts look for this file beside them.
    if (path.endsWith('/sqlite3.wasm')) return { type: 'application/wasm', text: await readFile(wasm) }
  } catch (error) {
    // Some tests want a page to be missing, but a script that cannot be bundled is a bug.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  return undefined
}

/** Serves the test pages from the sources, to this machine only, on a free port. With `?sandboxed` a page has an opaque origin. */
export async function servePages(): Promise<Site> {
  const server = createServer(async ({ url = '' }, response) => {
    const { pathname, searchParams } = new URL(url, 'http://pages')
    // A sandboxed page has an opaque origin, and must be able to load our modules too.
    response.setHeader('Access-Control-Allow-Origin', '*')
    // Clears the origin's storage, as a user can.
    if (pathname === '/clear-site-data') response.setHeader('Clear-Site-Data', '"storage"')
    if (searchParams.has('sandboxed')) response.setHeader('Content-Security-Policy', 'sandbox allow-scripts')
    const content = await contentAt(pathname)
    if (content) response.setHeader('Content-Type', content.type)
    else if (!response.hasHeader('Clear-Site-Data')) response.statusCode = 404
    response.end(content?.text)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/e2e/pages/index.html`,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
