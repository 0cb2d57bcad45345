import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, preview } from 'vite'

const root = fileURLToPath(new URL('page', import.meta.url))
const configFile = fileURLToPath(new URL('../vite.config.ts', import.meta.url))

export interface Site {
  readonly url: string
  close(): Promise<void>
}

/** Builds the page into `directory` and serves it, to this machine only. Port 0 takes a free one. */
export async function openSite(directory: string, port = 0): Promise<Site> {
  const outDir = join(directory, 'page')
  const common = { root, configFile, logLevel: 'warn', base: '/' } as const
  await build({ ...common, build: { outDir, emptyOutDir: true } })
  const server = await preview({ ...common, build: { outDir }, preview: { host: '127.0.0.1', port, strictPort: true, open: false } })
  const [url = ''] = server.resolvedUrls?.local ?? []
  return { url, close: () => server.close() }
}
