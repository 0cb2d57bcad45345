import { execFileSync } from 'node:child_process'
import { lstatSync, readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import ts from 'typescript'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { version } from '../../src/server/version.ts'
import { installPackage, type Project, root } from './installed.ts'

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

const exported = Object.keys(manifest.exports)
  .filter((path) => path !== './package.json')
  .map((path) => path.replace(/^\./, 'storelock'))

const consumer = `
import { createLocks, LockError, type HeldLock } from 'storelock'
import { memoryStore } from 'storelock/stores/memory'
export async function count(): Promise<number> {
  const locks = createLocks({ store: memoryStore(), duration: 1_000 })
  const first: number = await locks.request('counter', (lock: HeldLock) => lock.token)
  const second = await locks.tryAcquire('counter').catch((error: unknown) => (error instanceof LockError ? error.code : null))
  await locks.close()
  return typeof second === 'object' && second ? second.token - first : 0
}
console.log(await count() > 0 ? 'in order' : 'out of order')
`

/** Prints how many functions of the package run while a free lock is acquired and released, and in how many files. */
const walk = `
import inspector from 'node:inspector/promises'
import { createLocks } from 'storelock'
import { memoryStore } from 'storelock/stores/memory'
const locks = createLocks({ store: memoryStore() })
const once = async () => (await locks.acquire('a')).release()
await once()
const session = new inspector.Session()
session.connect()
await session.post('Profiler.enable')
await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })
await session.post('Profiler.takePreciseCoverage')
await once()
const { result } = await session.post('Profiler.takePreciseCoverage')
// An unnamed function that starts at offset 0 is the module itself.
const ran = ({ functionName, ranges: [{ count, startOffset }] }) => count > 0 && (functionName !== '' || startOffset > 0)
const counts = result.filter(({ url }) => url.includes('/storelock/dist/')).map(({ functions }) => functions.filter(ran).length)
console.log(JSON.stringify({ functions: counts.reduce((sum, count) => sum + count, 0), files: counts.filter(Boolean).length }))
await locks.close()
`

describe('the package as installed', () => {
  let project: Project
  beforeAll(async () => {
    project = await installPackage()
  }, 120_000)
  afterAll(() => project?.remove())

  it('contains everything that it exports, and no tests', () => {
    expect(project.packed).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'CHANGELOG.md', 'dist/index.js', 'dist/index.d.ts']))
    const others = project.packed.filter((path) => !/^(src|dist|docs)\/|^(LICENSE|README\.md|CHANGELOG\.md|llms\.txt|package\.json)$/.test(path))
    expect(others.concat(project.packed.filter((path) => path.includes('.test.')))).toEqual([])
  })

  it('depends on idb and comlink, and has the licenses of all other packages whose code it contains', () => {
    expect(Object.keys(manifest.dependencies)).toEqual(['comlink', 'idb'])
    const licenses = project.read('node_modules/storelock/dist/LICENSES.txt')
    for (const name of ['hono', 'zod', 'prom-client', 'commander']) expect(licenses).toMatch(new RegExp(`^${name} \\d.*\\n\\n.`, 'm'))
    // Every import by name is a module of Node's, one of these dependencies, or an optional peer.
    const bare = project.packed
      .filter((path) => /^dist\/.*\.(js|d\.ts)$/.test(path))
      .flatMap((path) => ts.preProcessFile(project.read(`node_modules/storelock/${path}`), true, true).importedFiles.map(({ fileName }) => fileName))
      .filter((name) => /^(?!node:)[@a-z]/.test(name) && !isBuiltin(name))
    const known = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })
    const packages = bare.map((name) => /^(@[^/]+\/)?[^/]+/.exec(name)?.[0] ?? '')
    expect([...new Set(packages)].filter((name) => !known.includes(name))).toEqual([])
  })

  it('runs the example of llms.txt', () => {
    const [, example = ''] = /```ts\n([\s\S]*?)```/.exec(project.read('node_modules/storelock/llms.txt')) ?? []
    const tables = new Database(project.path('app.db'))
    tables.exec('CREATE TABLE reports (at)')
    project.write('example.mjs', example)
    project.run('example.mjs')
    expect(tables.prepare('SELECT count(*) AS n FROM reports').get()).toEqual({ n: 1 })
    tables.close()
  })

  it('reports the version of its manifest', () => {
    expect(version).toBe(manifest.version)
  })

  it('exports each store by its name', () => {
    const stores = project.packed.flatMap((path) => /^src\/stores\/([^/]+)\.ts$/.exec(path)?.[1] ?? [])
    expect(stores.length).toBeGreaterThan(0)
    expect(exported).toEqual(expect.arrayContaining(stores.map((store) => `storelock/stores/${store}`)))
  })

  it.each(exported)('loads %s in plain Node', (path) => {
    project.write('load.mjs', `console.log(Object.keys(await import(${JSON.stringify(path)})).length)`)
    expect(Number(project.run('load.mjs'))).toBeGreaterThan(0)
  })

  it('acquires and releases a free lock through few functions, in few files', () => {
    project.write('walk.mjs', walk)
    const { functions, files } = JSON.parse(project.run('walk.mjs'))
    console.log(`acquire and release of a free lock: ${functions} functions in ${files} files`)
    // The store and the rules alone need 50 functions in 9 files. Lower these bounds when the path gets shorter.
    expect(functions).toBeLessThanOrEqual(165)
    expect(functions).toBeGreaterThan(50)
    expect(files).toBeLessThanOrEqual(40)
  })

  it('has a program', () => {
    const { bin } = manifest
    expect(project.read(`node_modules/storelock/${bin.storelock}`)).toMatch(/^#!\/usr\/bin\/env sh\n/)
    // For systems without a shell, such as Windows.
    expect(project.read(`node_modules/storelock/${bin['storelock-node']}`)).toMatch(/^#!\/usr\/bin\/env node\n/)
    project.write(
      'program.mjs',
      `process.argv.push('run', 'job', '--', 'echo', 'under a lock'); await import('./node_modules/storelock/${bin.storelock}')`,
    )
    expect(project.run('program.mjs')).toBe('under a lock\n')
  })

  it('grants locks with rising tokens', () => {
    const { outputText } = ts.transpileModule(consumer, { compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext } })
    project.write('consumer.mjs', outputText)
    expect(project.run('consumer.mjs')).toBe('in order\n')
  })

  it.each([
    ['nodenext', { module: ts.ModuleKind.NodeNext }],
    ['bundler', { module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler }],
  ])(
    'has types that %s resolves',
    (_, options) => {
      project.write('consumer.ts', consumer)
      project.write('everything.ts', exported.map((path, index) => `export type * as part${index} from '${path}'`).join('\n'))
      expect(project.check(['consumer.ts', 'everything.ts'], options)).toEqual([])
      // Also in Node, without the DOM's types.
      expect(project.check(['consumer.ts'], { ...options, lib: ['lib.es2022.d.ts'], types: ['node'] })).toEqual([])
      project.write('wrong.ts', `import { createLocks } from 'storelock'\ncreateLocks({ duration: 'long' })`)
      expect(project.check(['wrong.ts'], options)).not.toEqual([])
    },
    180_000,
  )
})

it('no file names a package registry or a folder of a developer’s machine', () => {
  // The names are put together from parts, so that this file does not contain them.
  const places = new RegExp(['registry\\.[a-z]+\\.', ['', 'home', ''].join('/'), ['', 'Users', ''].join('/'), ['', 'root', ''].join('/')].join('|'))
  const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], { cwd: root, encoding: 'utf8' }).split('\0')
  const named = files
    .filter((file) => file && lstatSync(join(root, file), { throwIfNoEntry: false })?.isFile())
    .flatMap((file) => {
      const place = places.exec(readFileSync(join(root, file), 'utf8'))?.[0]
      return place ? [`${file}: ${place}`] : []
    })
  expect(named).toEqual([])
})
