// Installs the package's tarball in new projects, with packages from the registry: `npm run test:installed`.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { page, program, servedProgram } from '../bundlers/apps.ts'
import { command, packPackage, root } from './installed.ts'

/** The packages for npm to install, in the newest versions that run on Node 20. */
const tools = {
  frameworks: ['react@19.3.1', 'vue@3.5.45', 'svelte@5.57.3'],
  typescript: ['typescript@5.9.3', '@types/node@22', '@types/react@19', 'vue@3.5.45', 'svelte@5.57.3'],
  oldTypescript: ['typescript@5.2.2', '@types/node@20', '@types/react@19'],
  vite: ['vite@8.3.8'],
  webpack: ['webpack@5.113.0', 'webpack-cli@7.3.1'],
  jsdom: ['vitest@4.1.12', 'jsdom@26.1.0', 'fake-indexeddb@6.2.8'],
}

const exported = Object.keys(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).exports)
  .filter((path) => path !== './package.json')
  .map((path) => path.replace(/^\./, 'storelock'))

/** A program that takes a lock in memory and one from a lock server, then ends. */
const both = (imports: string): string => `${imports}
async function main() {
  const locks = createLocks({ store: memoryStore() })
  const taken = await locks.request('job', (lock) => lock.isHeld())
  await locks.close()
  const server = await serve(memoryStore())
  const store = httpStore(server.url)
  const remote = createLocks({ store })
  const served = await remote.request('job', (lock) => lock.isHeld() && store.lockToken(lock).length > 0)
  await remote.close()
  await store.close()
  await server.close()
  console.log(JSON.stringify({ taken, served }))
}
main()
`
const names = ['createLocks', 'memoryStore', 'httpStore', 'serve'] as const
const modules = ['storelock', 'storelock/stores/memory', 'storelock/stores/http', 'storelock/server']
const esm = both(names.map((name, index) => `import { ${name} } from '${modules[index]}'`).join('\n'))
const cjs = both(names.map((name, index) => `const { ${name} } = require('${modules[index]}')`).join('\n'))
/** A user's test of a page's code without a browser. */
const jsdomTest = `
import { expect, test } from 'vitest'
import { createLocks } from 'storelock'
import { indexedDBStore } from 'storelock/stores/indexeddb'
test('a lock is held, and excludes', async () => {
  expect(document.body.tagName).toBe('BODY')
  const [first, second] = [1, 2].map(() => createLocks({ store: indexedDBStore('app') }))
  const lock = await first.acquire('job')
  expect(await second.tryAcquire('job')).toBeNull()
  await lock.release()
  expect(await second.request('job', (held) => held.isHeld())).toBe(true)
  await Promise.all([first.close(), second.close()])
})`
const worked = JSON.stringify({ taken: true, served: true })

let folder: string
let tarball: string
beforeAll(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'storelock-installed-')))
  tarball = (await packPackage(folder)).tarball
}, 120_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

interface Fresh {
  path(name: string): string
  write(name: string, text: string): void
  run(program: string, ...args: readonly string[]): string
}

/** Makes a new project, with this package and others. */
function fresh(name: string, packages: readonly string[] = [], manifest: object = { type: 'module' }): Fresh {
  const at = join(folder, name)
  mkdirSync(at)
  const path = (file: string): string => join(at, file)
  const write = (file: string, text: string): void => {
    mkdirSync(dirname(path(file)), { recursive: true })
    writeFileSync(path(file), text)
  }
  // Without this test runner's variables, since these projects start test runners of their own.
  const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !/^(VITEST|NODE_ENV|NODE_OPTIONS|npm_)/i.test(key)))
  const run = (program: string, ...args: readonly string[]): string => command(program, args, { cwd: at, env, shell: process.platform === 'win32' })
  write('package.json', JSON.stringify({ name: 'somebody-elses', private: true, ...manifest }))
  run('npm', 'install', '--no-audit', '--no-fund', '--no-package-lock', tarball, ...packages)
  return { path, write, run }
}

/** Links the repository's own driver into a project, so that it is not compiled again. */
const lendDriver = ({ path }: Fresh): void => symlinkSync(join(root, 'node_modules/better-sqlite3'), path('node_modules/better-sqlite3'), 'junction')

describe('installed by npm', { timeout: 600_000 }, () => {
  it('installs idb and comlink, and nothing else', () => {
    const { path } = fresh('alone')
    expect(readdirSync(path('node_modules')).filter((name) => !name.startsWith('.'))).toEqual(['comlink', 'idb', 'storelock'])
  })

  it('runs as ES modules, including the lock server and the program', () => {
    const project = fresh('esm')
    project.write('app.js', esm)
    expect(project.run(process.execPath, 'app.js').trim()).toBe(worked)
    lendDriver(project)
    expect(project.run('npx', 'storelock', 'run', 'job', '--', 'echo', 'ran')).toBe('ran\n')
    expect(project.run(process.execPath, 'node_modules/storelock/dist/cli/start.cjs', 'doctor')).toContain('integrity')
  })

  it('loads by require(), every entry, without a warning', () => {
    const { write, path } = fresh('cjs', tools.frameworks, {})
    write('app.js', cjs)
    write('all.js', `for (const name of ${JSON.stringify(exported)}) if (!Object.keys(require(name)).length) throw new Error(name)`)
    const said = ['app.js', 'all.js'].map((name) => {
      const { stdout, stderr } = spawnSync(process.execPath, [name], { cwd: path('.'), encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '' } })
      return [stdout.trim(), stderr]
    })
    expect(said).toEqual([
      [worked, ''],
      ['', ''],
    ])
  })

  it.each([
    ['TypeScript', tools.typescript, exported],
    // The types of Vue and Svelte need a newer TypeScript.
    ['TypeScript 5.2', tools.oldTypescript, exported.filter((path) => !/\/(vue|svelte)$/.test(path))],
  ])('has types that %s accepts in strict mode, with no checks skipped and without the server’s libraries installed', (name, packages, entries) => {
    const project = fresh(name.replaceAll(' ', '-'), packages)
    project.write('app.ts', esm)
    project.write('all.ts', entries.map((path, index) => `export type * as part${index} from '${path}'`).join('\n'))
    const strict = ['--strict', '--exactOptionalPropertyTypes', '--skipLibCheck', 'false', '--noEmit', '--target', 'es2022', '--types', 'node']
    const lib = ['--lib', 'es2022,esnext.disposable,dom,dom.iterable']
    const files = ['app.ts', 'all.ts']
    for (const how of [
      ['--module', 'nodenext'],
      ['--module', 'esnext', '--moduleResolution', 'bundler'],
    ])
      project.run('npx', 'tsc', ...strict, ...lib, ...how, ...files)
    project.write('wrong.ts', `import { createLocks } from 'storelock'\ncreateLocks({ duration: 'long' })`)
    expect(() => project.run('npx', 'tsc', ...strict, ...lib, '--module', 'nodenext', 'wrong.ts')).toThrow('wrong.ts')
  })

  it('can be built by Vite for a page', () => {
    const project = fresh('vite', tools.vite)
    project.write('index.html', '<!doctype html><script type="module" src="/page.js"></script>')
    project.write('page.js', page)
    project.run('npx', 'vite', 'build', '--logLevel', 'error')
    const [built = ''] = readdirSync(project.path('dist/assets'))
    expect(readFileSync(project.path(`dist/assets/${built}`), 'utf8')).toContain('storelock-records')
  })

  it('can be built by webpack, for a page and for Node with the lock server', () => {
    const project = fresh('webpack', tools.webpack, {})
    project.write('page.js', page)
    project.write('server.js', servedProgram)
    const build = ['webpack', '--mode', 'production', '--no-performance']
    project.run('npx', ...build, '--entry', './page.js', '--output-path', project.path('web'))
    expect(readFileSync(project.path('web/main.js'), 'utf8')).toContain('storelock-records')
    project.run('npx', ...build, '--entry', './server.js', '--target', 'node', '--output-path', project.path('node'))
    rmSync(project.path('node_modules'), { recursive: true })
    expect(project.run(process.execPath, 'node/main.js').trim()).toBe('served')
  })

  it('has working IndexedDB locks in Vitest, under jsdom with fake-indexeddb', () => {
    const project = fresh('jsdom', tools.jsdom)
    project.write('vitest.config.js', `export default { test: { environment: 'jsdom', setupFiles: ['fake-indexeddb/auto'] } }`)
    project.write('locks.test.js', jsdomTest)
    expect(project.run('npx', 'vitest', 'run', '--reporter=json')).toContain('"numPassedTests":1')
  })
})

describe('installed by pnpm', { timeout: 600_000 }, () => {
  it('runs although only its declared dependencies are visible to it', () => {
    const project = fresh('pnpm')
    rmSync(project.path('node_modules'), { recursive: true })
    project.run('npx', '-y', 'pnpm@12.4.2', 'add', tarball)
    expect(existsSync(project.path('node_modules/idb'))).toBe(false)
    project.write('app.js', esm)
    expect(project.run(process.execPath, 'app.js').trim()).toBe(worked)
  })
})

describe('in another runtime', { timeout: 600_000 }, () => {
  it('Bun takes locks in memory and from a server, and serves them', () => {
    const project = fresh('bun', ['bun@1.4.4'])
    project.write('app.js', esm)
    expect(project.run('npx', 'bun', 'app.js').trim()).toBe(worked)
  })

  it('Deno takes locks in memory, from a server and in a SQLite file, and serves them', () => {
    const project = fresh('deno', ['deno@2.9.6'])
    project.write('app.js', esm)
    project.write('program.js', program)
    expect(project.run('npx', 'deno', 'run', '-A', 'app.js').trim()).toBe(worked)
    expect(project.run('npx', 'deno', 'run', '-A', 'program.js', project.path('locks.db')).trim()).toBe('written')
  })
})
