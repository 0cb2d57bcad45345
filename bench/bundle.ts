import { join } from 'node:path'
import { build, type Plugin, type Rolldown } from 'vite'

/** The repository. */
export const root = join(import.meta.dirname, '..')

/**
 * A module and all it imports of ours, as a user's bundler would make it of our sources.
 * tsx would not do for what is timed: it wraps every function to keep its name, which costs more than some of them.
 * @param entry its path from the repository
 * @param platform where it is to run: for `node` packages stay outside, for `browser` all is in one minified file
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
