import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, createServer, type InlineConfig, mergeConfig, type Plugin, preview } from 'vite'
import { insecureHost } from '../../engines/engine.ts'
import type { Site } from '../serve.ts'
import type { Framework, Hot } from './frameworks.ts'

export interface HotSite extends Site {
  /** Sends the pages a new version of the panel, as if its file had been saved. */
  reload(): Promise<void>
}

const root = fileURLToPath(new URL('../../..', import.meta.url))
const html = 'e2e/pages/frameworks/index.html'

/** The configuration of the test page of a framework, whose first module is `main`. */
function configFor(main: string, folder: string, changes: InlineConfig): InlineConfig {
  const start: Plugin = {
    name: 'start of the framework',
    transformIndexHtml: { order: 'pre', handler: (html) => html.replace('/START', main) },
  }
  const common: InlineConfig = { root, cacheDir: folder, configFile: `${root}vite.config.ts`, logLevel: 'error', plugins: [start] }
  return mergeConfig(common, changes)
}

const newFolder = (): string => mkdtempSync(join(tmpdir(), 'storelock-framework-'))
const remove = (folder: string): void => rmSync(folder, { recursive: true, force: true })

/**
 * Bundles the test page of a framework, since loading its hundreds of modules takes longer than opening a tab, and serves it, to this machine only and
 * on a free port.
 */
export async function serveFramework({ main, config }: Framework): Promise<Site> {
  const folder = newFolder()
  const built = configFor(main, folder, {
    build: { outDir: folder, minify: false, target: 'es2022', rollupOptions: { input: `${root}${html}` } },
    preview: { host: '127.0.0.1', port: 0, allowedHosts: [insecureHost] },
  })
  await build(mergeConfig(built, config(false)))
  const server = await preview(built)
  const [origin = ''] = server.resolvedUrls?.local ?? []
  return {
    url: new URL(html, origin).href,
    async close() {
      await server.close()
      remove(folder)
    },
  }
}

/** Serves a test page of a framework whose panel can be replaced while the page runs. Its open connection keeps it out of the back/forward cache. */
export async function serveHot({ hot, config }: Framework & { hot: Hot }): Promise<HotSite> {
  const folder = newFolder()
  let version = 1
  const versions: Plugin = {
    name: 'versions of the panel',
    enforce: 'pre',
    transform: (code, id) => (id === join(root, hot.panel) ? code.replace('version = 1', `version = ${version}`) : undefined),
  }
  const served = configFor(hot.main, folder, { plugins: [versions], server: { port: 0, watch: null } })
  const server = await createServer(mergeConfig(served, config(true)))
  await server.listen()
  const [origin = ''] = server.resolvedUrls?.local ?? []
  return {
    url: new URL(html, origin).href,
    async reload() {
      version += 1
      const module = await server.moduleGraph.getModuleByUrl(hot.panel)
      if (!module) throw new Error('no page has asked for the panel yet')
      await server.reloadModule(module)
    },
    async close() {
      await server.close()
      remove(folder)
    },
  }
}
