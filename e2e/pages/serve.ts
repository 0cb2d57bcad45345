import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

export interface Site {
  /** Of the page that has `storelock` as a global. */
  readonly url: string
  close(): Promise<void>
}

const root = fileURLToPath(new URL('../..', import.meta.url))
const wasm = createRequire(import.meta.url).resolve('@sqlite.org/sqlite-wasm/sqlite3.wasm')
/** What was bundled by its path: a page is opened hundreds of times, and the sources stay as they are meanwhile. */
const scripts = new Map<string, Promise<string>>()

/** A script of a page or worker in one file: a hundred modules, one by one, take longer to come than a tab to open. */
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
    // The package says that none of its modules is imported for its effects alone; some of the tests' are.
    ignoreAnnotations: true,
    write: false,
    logLevel: 'silent',
  })
  return outputFiles[0]?.text ?? ''
}

/** What is at a path: a page as its file has it, or a script of ours. `undefined` if nothing is. */
async function contentAt(path: string): Promise<{ type: string; text: string | Buffer } | undefined> {
  try {
    if (/^\/e2e\/.*\.html$/.test(path)) return { type: 'text/html', text: await readFile(`${root}${path.slice(1)}`, 'utf8') }
    if (/^\/e2e\/.*\.ts$/.test(path)) return { type: 'text/javascript', text: await scriptAt(path) }
    // Bundled scripts look for it beside them.
    if (path.endsWith('/sqlite3.wasm')) return { type: 'application/wasm', text: await readFile(wasm) }
  } catch (error) {
    // A page that is missing is a fact of some test; what cannot be bundled is a fault of ours.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  return undefined
}

/** Serves the pages for tests, from the sources, to this machine only and on a free port. With `?sandboxed` a page has an opaque origin. */
export async function servePages(): Promise<Site> {
  const server = createServer(async ({ url = '' }, response) => {
    const { pathname, searchParams } = new URL(url, 'http://pages')
    // A sandboxed page, which has an origin of its own, may load our modules too.
    response.setHeader('Access-Control-Allow-Origin', '*')
    // As a person can do: what the origin stored is cleared away.
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
