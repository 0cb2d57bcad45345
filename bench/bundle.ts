import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { build, type Plugin, type Rolldown } from 'vite'

/** The root of the repository. */
export const root = join(import.meta.dirname, '..')

/**
 * Bundles a module with all our sources that it imports, as a user's bundler would.
 * tsx is no alternative for code that is timed: it wraps every function to keep its name, which costs more than some functions do.
 * @param entry the path of the module from the root
 * @param platform where the bundle runs: for `node` packages stay outside, for `browser` everything is in one minified file
 */
export async function bundle(entry: string, platform: 'node' | 'browser', plugins: Plugin[] = []): Promise<string> {
  const result = await build({
    root,
    configFile: false,
    logLevel: 'error',
    plugins,
    resolve: { tsconfigPaths: true },
    define: { 'process.env.NODE_ENV': '"production"' },
    build: {
      target: 'es2022',
      write: false,
      modulePreload: false,
      ssr: platform === 'node',
      minify: platform === 'browser',
      rolldownOptions: { input: join(root, entry) },
    },
  })
  const chunks = [result].flat().flatMap((part) => ('output' in part ? part.output : []))
  const codes = chunks.filter((chunk): chunk is Rolldown.OutputChunk => chunk.type === 'chunk').map(({ code }) => code)
  if (codes.length !== 1) throw new Error(`${entry} was bundled into ${codes.length} files instead of one`)
  return codes[0] ?? ''
}

/** Makes imports of `storelock` mean the sources of a checkout. */
export const sourcesOf = (checkout: string): Plugin => ({
  name: 'sources-of-a-checkout',
  enforce: 'pre',
  resolveId: (id) => (/^storelock(\/|$)/.test(id) ? join(checkout, 'src', `${id.slice('storelock/'.length) || 'index'}.ts`) : undefined),
})

/** The absolute path of another checkout. @throws Error if its sources cannot be bundled */
export function checkoutAt(dir: string): string {
  const other = resolve(dir)
  if (!existsSync(join(other, 'src/index.ts'))) throw new Error(`${other} is no checkout of storelock: it has no src/index.ts`)
  if (!existsSync(join(other, 'node_modules'))) throw new Error(`${other} has no node_modules: run npm ci there`)
  return other
}
