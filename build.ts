// Builds the package: `tsx build.ts`.
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type BuildOptions, buildSync } from 'esbuild'

const root = import.meta.dirname

const inspectorPage = 'src/inspector/page.ts'
/** Scripts for browsers, each bundled into one file of `dist`: its path there without `.js`, and its source. */
const pages: Readonly<Record<string, string>> = { 'server/inspector-page': inspectorPage }

const shared: BuildOptions = { absWorkingDir: root, bundle: true, minify: true, format: 'esm', legalComments: 'none', logLevel: 'warning' }
const forBrowsers: BuildOptions = { platform: 'browser', target: 'es2022' }

/** Writes everything in `dist`. */
export function buildPackage(folder: string): void {
  rmSync(folder, { recursive: true, force: true })
  execFileSync(process.execPath, [join(root, 'node_modules/typescript-7/bin/tsc'), '-p', join(root, 'src'), '--outDir', folder], { stdio: 'inherit' })
  // Removes modules that no user imports: those of the command line and of pages, which are bundled, and types that would need the libraries.
  for (const path of ['cli', ...filesOf('inspector/page'), ...filesOf('server/libraries').filter((path) => !path.endsWith('.js'))])
    rmSync(join(folder, path), { recursive: true })
  const bundled = [
    bundleForNode(folder, { 'cli/main': 'src/cli/main.ts', 'server/libraries': 'src/server/libraries.ts' }),
    bundle(folder, pages, forBrowsers),
  ]
  cpSync(join(root, 'src/cli/storelock.js'), join(folder, 'cli/storelock.js'))
  writeLicenses(folder, bundled.flat())
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

/** Writes only the command line, as in `dist/cli`. */
export function bundleProgram(folder: string): void {
  const bundled = bundleForNode(folder, { main: 'src/cli/main.ts' })
  cpSync(join(root, 'src/cli/storelock.js'), join(folder, 'storelock.js'))
  writeLicenses(folder, bundled)
}

/**
 * Writes programs with their dependencies, in a few files that they share. So users need not install the lock server's libraries, and `run`
 * starts fast: most of the start is the time to find files.
 */
const bundleForNode = (folder: string, entryPoints: Record<string, string>): string[] =>
  bundle(folder, entryPoints, {
    splitting: true,
    chunkNames: 'chunks/[hash]',
    platform: 'node',
    target: 'node20.19',
    // The user's own packages: compiled for the user's machine, or in the version that fits the server.
    external: ['better-sqlite3', 'pg', 'redis', 'ioredis'],
    // CommonJS dependencies call `require` for Node's own modules. Unlike `createRequire`, this also works if it is bundled again as CommonJS.
    banner: { js: 'const require = (name) => process.getBuiltinModule(name);' },
  })

/** @returns the folders of the packages whose code went into the bundle */
function bundle(outdir: string, entryPoints: Readonly<Record<string, string>>, options: BuildOptions): string[] {
  const { metafile } = buildSync({ ...shared, entryPoints, outdir, allowOverwrite: true, metafile: true, ...options })
  return Object.keys(metafile?.inputs ?? {}).flatMap((path) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path) ?? [])
}

/** Writes the licenses of bundled packages, which must go wherever their code goes. */
const writeLicenses = (folder: string, packages: readonly string[]): void =>
  writeFileSync(join(folder, 'LICENSES.txt'), [...new Set(packages)].sort().map(licenseOf).join('\n\n'))

function licenseOf(folder: string): string {
  const { name, version, license } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'))
  const file = readdirSync(join(root, folder)).find((entry) => /^licen[cs]e(\.|$)/i.test(entry))
  const text = file && existsSync(join(root, folder, file)) ? readFileSync(join(root, folder, file), 'utf8').trim() : ''
  return `${name} ${version} (${license})\n\n${text}`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) buildPackage(join(root, 'dist'))
