import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import * as esbuild from 'esbuild'
import { build } from 'vite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import webpack from 'webpack'
import { page, program, servedProgram } from '../bundlers/apps.ts'
import { installPackage, type Project, root } from './installed.ts'

let project: Project
let data: string
beforeAll(async () => {
  // Bundling must not need a package that is not installed.
  project = await installPackage({ without: ['better-sqlite3'] })
  data = mkdtempSync(join(tmpdir(), 'storelock-bundles-'))
  project.write('program.js', program)
  project.write('page.js', page)
  project.write('served.js', servedProgram)
}, 120_000)
afterAll(() => {
  project?.remove()
  rmSync(data, { recursive: true, force: true })
})

/** Bundles a file, with all its imports, into another file. */
type Bundler = (from: string, to: string) => Promise<void>

const byEsbuild =
  (format: 'cjs' | 'esm', platform: 'node' | 'browser'): Bundler =>
  async (from, to) => {
    const { warnings } = await esbuild.build({ entryPoints: [from], outfile: to, bundle: true, format, platform, logLevel: 'silent' })
    // CommonJS has no import.meta, and the library does not need it.
    expect(warnings.filter(({ id }) => id !== 'empty-import-meta')).toEqual([])
  }

const byVite =
  (ssr: boolean): Bundler =>
  async (from, to) => {
    const [outDir, entryFileNames] = [dirname(to), to.slice(dirname(to).length + 1)]
    await build({
      root: dirname(from),
      configFile: false,
      logLevel: 'error',
      ssr: { noExternal: true },
      build: { ssr, outDir, emptyOutDir: false, rollupOptions: { input: from, output: { entryFileNames } } },
    })
  }

const byWebpack =
  (target: 'node' | 'web'): Bundler =>
  async (entry, to) => {
    const output = { path: dirname(to), filename: to.slice(dirname(to).length + 1) }
    // No warnings about the size of this unminified bundle: package.json has the limits on sizes.
    const plain = { optimization: { minimize: false }, performance: false } as const
    const compiler = webpack({ mode: 'production', ...plain, context: dirname(entry), entry, target, output })
    const stats = await new Promise<webpack.Stats>((resolve, reject) => {
      compiler?.run((error, stats) => (stats ? resolve(stats) : reject(error)))
    })
    expect(stats.toJson({ all: false, errors: true, warnings: true })).toMatchObject({ errors: [], warnings: [] })
  }

describe('a program with sqliteStore runs as a bundle that was made without a driver installed', () => {
  it.each<[string, string, Bundler]>([
    ['esbuild in CommonJS', 'esbuild.cjs', byEsbuild('cjs', 'node')],
    ['esbuild in ESM', 'esbuild.mjs', byEsbuild('esm', 'node')],
    ['Vite', 'vite.mjs', byVite(true)],
    ['webpack', 'webpack.cjs', byWebpack('node')],
  ])(
    'by %s',
    async (_, name, bundle) => {
      const bundled = join(data, name)
      await bundle(project.path('program.js'), bundled)
      // The bundle finds the driver from the folder in which it runs.
      expect(execFileSync(process.execPath, [bundled, join(data, `${name}.db`)], { cwd: root, encoding: 'utf8' })).toBe('written\n')
    },
    60_000,
  )
})

describe('a lock server runs as a bundle without its libraries installed', () => {
  it.each<[string, string, Bundler]>([
    ['esbuild in CommonJS', 'served.cjs', byEsbuild('cjs', 'node')],
    ['esbuild in ESM', 'served.mjs', byEsbuild('esm', 'node')],
    ['Vite', 'served-vite.mjs', byVite(true)],
    ['webpack', 'served-webpack.cjs', byWebpack('node')],
  ])(
    'by %s',
    async (_, name, bundle) => {
      const bundled = join(data, name)
      await bundle(project.path('served.js'), bundled)
      expect(execFileSync(process.execPath, [bundled], { cwd: data, encoding: 'utf8' })).toBe('served\n')
    },
    60_000,
  )
})

describe('a page with indexedDBStore is bundled without any of Node’s modules', () => {
  it.each<[string, string, Bundler]>([
    ['esbuild', 'esbuild.js', byEsbuild('esm', 'browser')],
    ['Vite', 'vite.js', byVite(false)],
    ['webpack', 'webpack.js', byWebpack('web')],
  ])(
    'by %s',
    async (_, name, bundle) => {
      const bundled = join(data, name)
      await bundle(project.path('page.js'), bundled)
      const text = readFileSync(bundled, 'utf8')
      expect(text).toContain('storelock-records')
      expect(text).not.toMatch(/["'`](node:|better-sqlite3)/)
    },
    60_000,
  )
})
