// Builds the package: `tsx build.ts`.
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type BuildOptions, buildSync } from 'esbuild'

const root = import.meta.dirname

const inspectorPage = 'src/inspector/page.ts'
/** Files for browsers that `dist` has as one file each, with all that they import: where each is written, without `.js`, and its source. */
const pages: Readonly<Record<string, string>> = { 'server/inspector-page': inspectorPage }

const shared: BuildOptions = { absWorkingDir: root, bundle: true, minify: true, format: 'esm', legalComments: 'none', logLevel: 'warning' }
const forBrowsers: BuildOptions = { platform: 'browser', target: 'es2022' }

/** Writes all that `dist` has. */
export function buildPackage(folder: string): void {
  rmSync(folder, { recursive: true, force: true })
  execFileSync(process.execPath, [join(root, 'node_modules/typescript-7/bin/tsc'), '-p', join(root, 'src'), '--outDir', folder], { stdio: 'inherit' })
  // Nobody imports the command line's modules, those of pages are in one file, and the types of the libraries would need the libraries.
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

/** Writes the demo's page, as `storelock demo` serves it. */
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

/** What the compiler writes for a module. */
const filesOf = (path: string): string[] => ['js', 'js.map', 'd.ts', 'd.ts.map'].map((suffix) => `${path}.${suffix}`)

/** The script of the lock server's page. The server makes it itself where there is no build. */
export function bundleInspector(): string {
  const { outputFiles } = buildSync({ ...shared, ...forBrowsers, entryPoints: [inspectorPage], write: false })
  return outputFiles?.[0]?.text ?? ''
}

/** Writes the command line alone, as `dist/cli` has it. */
export function bundleProgram(folder: string): void {
  const bundled = bundleForNode(folder, { main: 'src/cli/main.ts' })
  cpSync(join(root, 'src/cli/storelock.js'), join(folder, 'storelock.js'))
  writeLicenses(folder, bundled)
}

/**
 * Writes programs with their dependencies, in a few files that they share. So the lock server's libraries need not be installed, and `run` starts
 * fast: most of that is the time it takes to find files.
 */
const bundleForNode = (folder: string, entryPoints: Record<string, string>): string[] =>
  bundle(folder, entryPoints, {
    splitting: true,
    chunkNames: 'chunks/[hash]',
    platform: 'node',
    target: 'node20.19',
    // The user's own: compiled for its machine, or as new as its server.
    external: ['better-sqlite3', 'pg', 'redis', 'ioredis'],
    // Dependencies in CommonJS call it for Node's own modules. Unlike `createRequire` it also works where this is bundled once more, as CommonJS.
    banner: { js: 'const require = (name) => process.getBuiltinModule(name);' },
  })

/** @returns the folders of the packages whose code went into the bundle */
function bundle(outdir: string, entryPoints: Readonly<Record<string, string>>, options: BuildOptions): string[] {
  const { metafile } = buildSync({ ...shared, entryPoints, outdir, allowOverwrite: true, metafile: true, ...options })
  return Object.keys(metafile?.inputs ?? {}).flatMap((path) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path) ?? [])
}

/** What the licenses of bundled packages want to see wherever their code goes. */
const writeLicenses = (folder: string, packages: readonly string[]): void =>
  writeFileSync(join(folder, 'LICENSES.txt'), [...new Set(packages)].sort().map(licenseOf).join('\n\n'))

function licenseOf(folder: string): string {
  const { name, version, license } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'))
  const file = readdirSync(join(root, folder)).find((entry) => /^licen[cs]e(\.|$)/i.test(entry))
  const text = file && existsSync(join(root, folder, file)) ? readFileSync(join(root, folder, file), 'utf8').trim() : ''
  return `${name} ${version} (${license})\n\n${text}`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) buildPackage(join(root, 'dist'))
