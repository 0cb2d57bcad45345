import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createServer, type Plugin } from 'vite'
import { insecureHost } from '../../engines/engine.ts'
import type { Site } from '../serve.ts'

export interface ReactSite extends Site {
  /** Sends the pages another version of the panel, as when its file is saved. */
  reload(): Promise<void>
}

/**
 * Serves the page for tests of React, to this machine only and on a free port.
 * @param hot whether the pages listen for new versions of their modules; the open connection keeps them out of the back/forward cache
 */
export async function serveReact(hot: boolean): Promise<ReactSite> {
  const root = fileURLToPath(new URL('../../..', import.meta.url))
  const panel = '/e2e/pages/react/panel.ts'
  let version = 1
  const versions: Plugin = {
    name: 'versions of the panel',
    enforce: 'pre',
    transform: (code, id) => (id === join(root, panel) ? code.replace('version = 1', `version = ${version}`) : undefined),
  }
  // It would complain that nobody answers it.
  const noClient: Plugin = {
    name: 'no client of Vite',
    transformIndexHtml: { order: 'post', handler: (html) => html.replace(/<script.*\/@vite\/client.*<\/script>/, '') },
  }
  // React is not ESM, so it is bundled first.
  const cacheDir = mkdtempSync(join(tmpdir(), 'storelock-react-'))
  const server = await createServer({
    root,
    cacheDir,
    configFile: `${root}vite.config.ts`,
    logLevel: 'error',
    plugins: [hot ? versions : noClient],
    optimizeDeps: { noDiscovery: true, include: ['react', 'react-dom/client'] },
    server: { port: 0, watch: null, allowedHosts: [insecureHost], ...(!hot && { ws: false, hmr: false }) },
  })
  await server.listen()
  const [origin = ''] = server.resolvedUrls?.local ?? []
  return {
    url: new URL(`e2e/pages/react/${hot ? 'hot' : 'index'}.html`, origin).href,
    async reload() {
      version += 1
      const module = await server.moduleGraph.getModuleByUrl(panel)
      if (!module) throw new Error('no page has asked for the panel yet')
      await server.reloadModule(module)
    },
    async close() {
      await server.close()
      rmSync(cacheDir, { recursive: true, force: true })
    },
  }
}
