import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createServer, mergeConfig, type Plugin } from 'vite'
import { insecureHost } from '../../engines/engine.ts'
import type { Site } from '../serve.ts'
import type { Framework } from './frameworks.ts'

export interface FrameworkSite extends Site {
  /** Sends the pages a new version of the panel, as if its file had been saved. */
  reload(): Promise<void>
}

/**
 * Serves the test page of a framework, to this machine only and on a free port.
 * @param isHot whether the pages listen for new versions of their modules. The open connection keeps them out of the back/forward cache
 */
export async function serveFramework({ main, hot, config }: Framework, isHot = false): Promise<FrameworkSite> {
  const root = fileURLToPath(new URL('../../..', import.meta.url))
  let version = 1
  const versions: Plugin = {
    name: 'versions of the panel',
    enforce: 'pre',
    transform: (code, id) => (hot && id === join(root, hot.panel) ? code.replace('version = 1', `version = ${version}`) : undefined),
  }
  const start: Plugin = {
    name: 'start of the framework',
    transformIndexHtml: { order: 'pre', handler: (html) => html.replace('/START', (isHot && hot?.main) || main) },
  }
  // Without a server to connect to, the client would log errors.
  const noClient: Plugin = {
    name: 'no client of Vite',
    transformIndexHtml: { order: 'post', handler: (html) => html.replace(/<script.*\/@vite\/client.*<\/script>/, '') },
  }
  const cacheDir = mkdtempSync(join(tmpdir(), 'storelock-framework-'))
  const common = {
    root,
    cacheDir,
    configFile: `${root}vite.config.ts`,
    logLevel: 'error' as const,
    plugins: [start, isHot ? versions : noClient],
    server: { port: 0, watch: null, allowedHosts: [insecureHost], ...(!isHot && { ws: false as const, hmr: false }) },
  }
  const server = await createServer(mergeConfig(common, config(isHot)))
  await server.listen()
  const [origin = ''] = server.resolvedUrls?.local ?? []
  return {
    url: new URL('e2e/pages/frameworks/index.html', origin).href,
    async reload() {
      version += 1
      const module = hot && (await server.moduleGraph.getModuleByUrl(hot.panel))
      if (!module) throw new Error('no page has asked for the panel yet')
      await server.reloadModule(module)
    },
    async close() {
      await server.close()
      rmSync(cacheDir, { recursive: true, force: true })
    },
  }
}
