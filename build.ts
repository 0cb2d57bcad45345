// Builds the package: `tsx build.ts`.
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'

const root = import.meta.dirname

/** Writes all that `dist` has. */
export function buildPackage(folder: string): void {
  rmSync(folder, { recursive: true, force: true })
  execFileSync(process.execPath, [join(root, 'node_modules/typescript-7/bin/tsc'), '-p', join(root, 'src'), '--outDir', folder], { stdio: 'inherit' })
  // Nobody imports the command line's modules.
  rmSync(join(folder, 'cli'), { recursive: true })
  bundleProgram(join(folder, 'cli'))
  buildDemo(join(folder, 'cli', 'page'))
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

/** Writes the command line with its dependencies, in a few files: `run` has to start fast, and most of that is the time it takes to find files. */
export function bundleProgram(folder: string): void {
  const { metafile } = buildSync({
    absWorkingDir: root,
    entryPoints: ['src/cli/main.ts'],
    outdir: folder,
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    // The user's own: compiled for its machine, or as new as its server.
    external: ['better-sqlite3', 'pg', 'redis', 'ioredis'],
    // Dependencies in CommonJS call it.
    banner: { js: `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);` },
    legalComments: 'none',
    metafile: true,
    logLevel: 'warning',
  })
  cpSync(join(root, 'src/cli/storelock.js'), join(folder, 'storelock.js'))
  const packages = new Set(Object.keys(metafile.inputs).flatMap((path) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path) ?? []))
  writeFileSync(join(folder, 'LICENSES.txt'), [...packages].sort().map(licenseOf).join('\n\n'))
}

/** What a package's license wants to see wherever its code goes. */
function licenseOf(folder: string): string {
  const { name, version, license } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'))
  const file = readdirSync(join(root, folder)).find((entry) => /^licen[cs]e(\.|$)/i.test(entry))
  const text = file && existsSync(join(root, folder, file)) ? readFileSync(join(root, folder, file), 'utf8').trim() : ''
  return `${name} ${version} (${license})\n\n${text}`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) buildPackage(join(root, 'dist'))
