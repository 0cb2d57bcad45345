// Builds the package: `tsx build.ts`.
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type BuildOptions, buildSync } from 'esbuild'
import { build, type Plugin } from 'rolldown'

const root = import.meta.dirname

const inspectorPage = 'src/inspector/page.ts'
/** Scripts for browsers, each bundled into one file of `dist`: its path there without `.js`, and its source. */
const pages: Readonly<Record<string, string>> = { 'server/inspector-page': inspectorPage }

const shared: BuildOptions = { absWorkingDir: root, bundle: true, minify: true, format: 'esm', legalComments: 'none', logLevel: 'warning' }
const forBrowsers: BuildOptions = { platform: 'browser', target: 'es2022' }

/** The lock server's libraries, which its modules import as one. So users need not install them. */
const libraries = { 'server/libraries': 'src/server/libraries.ts' }
const forNode: BuildOptions = {
  platform: 'node',
  target: 'node20.19',
  // CommonJS dependencies call `require` for Node's own modules. Unlike `createRequire`, this also works if it is bundled again as CommonJS.
  banner: { js: 'const require = (name) => process.getBuiltinModule(name);' },
}

/** Writes everything in `dist`. */
export async function buildPackage(folder: string): Promise<void> {
  rmSync(folder, { recursive: true, force: true })
  execFileSync(process.execPath, [join(root, 'node_modules/typescript-7/bin/tsc'), '-p', join(root, 'src'), '--outDir', folder], { stdio: 'inherit' })
  // Removes modules that no user imports: those of the command line and of pages, which are bundled, and types that would need the libraries.
  for (const path of ['cli', ...filesOf('inspector/page'), ...filesOf('server/libraries').filter((path) => !path.endsWith('.js'))])
    rmSync(join(folder, path), { recursive: true })
  const bundled = [bundleCommand(folder, 'cli/'), bundle(folder, libraries, forNode), bundle(folder, pages, forBrowsers)]
  writeLicenses(folder, (await Promise.all(bundled)).flat())
  buildDemo(join(folder, 'demo'))
}

/** Writes the demo page that `storelock demo` serves. */
export function buildDemo(folder: string): void {
  const vite = join(root, 'node_modules/vite/bin/vite.js')
  const args = [
    'build',
    join(root, 'demo/page'),
    '--config',
    join(root, 'demo/vite.config.ts'),
    '--outDir',
    folder,
    '--emptyOutDir',
    '--logLevel',
    'error',
  ]
  execFileSync(process.execPath, [vite, ...args], { stdio: 'inherit' })
}

/** The files that the compiler writes for a module. */
const filesOf = (path: string): string[] => ['js', 'js.map', 'd.ts', 'd.ts.map'].map((suffix) => `${path}.${suffix}`)

/** The script of the lock server's page. Without a build, the server bundles it itself. */
export function bundleInspector(): string {
  const { outputFiles } = buildSync({ ...shared, ...forBrowsers, entryPoints: [inspectorPage], write: false })
  return outputFiles?.[0]?.text ?? ''
}

/** Writes only the command line, as in `dist`. @returns the paths of what Node runs and of what users call */
export async function bundleProgram(folder: string): Promise<{ readonly main: string; readonly program: string }> {
  writeLicenses(folder, await bundleCommand(folder))
  return { main: join(folder, 'start.cjs'), program: join(folder, 'storelock.cjs') }
}

/**
 * Writes the command line with its dependencies, so that users need not install them. It is CommonJS, since `run` has to start fast: Node 20 needs
 * 30 ms less to load these files than to load modules. esbuild makes several files only of modules.
 * @returns the folders of the packages whose code went into the files
 */
async function bundleCommand(folder: string, under = ''): Promise<string[]> {
  const { output } = await build({
    cwd: root,
    input: { [`${under}main`]: 'src/cli/main.ts' },
    platform: 'node',
    plugins: [ascii],
    transform: { target: 'node20.19' },
    // The user's own packages: compiled for the user's machine, or in the version that fits the server.
    external: ['better-sqlite3', 'pg', 'redis', 'ioredis'],
    output: {
      dir: folder,
      format: 'cjs',
      minify: true,
      comments: { legal: false },
      entryFileNames: '[name].cjs',
      chunkFileNames: 'chunks/[hash].cjs',
      // One file for all that `run` needs on SQLite.
      codeSplitting: { groups: [{ name: 'run', test: /[\\/](run[\\/]run|cli[\\/]main|stores[\\/]sqlite)\.ts$/ }] },
    },
    logLevel: 'warn',
  })
  for (const script of ['start.cjs', 'storelock.cjs']) cpSync(join(root, 'src/cli', script), join(folder, under, script))
  return output.flatMap((file) => (file.type === 'chunk' ? packagesOf(file.moduleIds.map((path) => relative(root, path))) : []))
}

/** Rewrites a bundle in ASCII: V8 then needs half the memory for it, and `start.cjs` reads it without decoding. Only literals have other characters. */
const ascii: Plugin = {
  name: 'ascii',
  generateBundle(_, bundle) {
    for (const file of Object.values(bundle)) if (file.type === 'chunk') file.code = file.code.replace(/[^\0-\x7f]/g, escaped)
  },
}

const escaped = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`

/** @returns the folders of the packages whose code went into the bundle */
function bundle(outdir: string, entryPoints: Readonly<Record<string, string>>, options: BuildOptions): string[] {
  const { metafile } = buildSync({ ...shared, entryPoints, outdir, allowOverwrite: true, metafile: true, ...options })
  return packagesOf(Object.keys(metafile?.inputs ?? {}))
}

/** The folders of packages that have some of these files. */
const packagesOf = (files: readonly string[]): string[] =>
  files.flatMap((path) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path.replaceAll('\\', '/')) ?? [])

/** Writes the licenses of bundled packages, which must go wherever their code goes. */
const writeLicenses = (folder: string, packages: readonly string[]): void =>
  writeFileSync(join(folder, 'LICENSES.txt'), [...new Set(packages)].sort().map(licenseOf).join('\n\n'))

function licenseOf(folder: string): string {
  const { name, version, license } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'))
  const file = readdirSync(join(root, folder)).find((entry) => /^licen[cs]e(\.|$)/i.test(entry))
  const text = file && existsSync(join(root, folder, file)) ? readFileSync(join(root, folder, file), 'utf8').trim() : ''
  return `${name} ${version} (${license})\n\n${text}`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildPackage(join(root, 'dist'))
