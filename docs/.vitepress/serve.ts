import { preview } from 'vite'
import { site } from './pages.ts'

export interface Served {
  /** Ends with a slash. */
  readonly url: string
  close(): Promise<void>
}

/** Serves the built site to this machine only. @param port 0 for any free port */
export async function serveSite(port: number): Promise<Served> {
  const server = await preview({
    root: site,
    base: process.env.DOCS_BASE ?? '/',
    configFile: false,
    logLevel: 'error',
    appType: 'mpa',
    build: { outDir: '.' },
    preview: { host: '127.0.0.1', port, strictPort: true },
  })
  return { url: server.resolvedUrls?.local[0] ?? '', close: () => server.close() }
}
