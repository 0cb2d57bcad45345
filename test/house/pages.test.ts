import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { installPackage, type Project, root } from './installed.ts'
import { codeOf, docsPages, javaScript, readPage } from './samples.ts'

/** The reference: the pages in which users look up calls, stores and entries of the package. */
const reference = [
  'docs/calls.md',
  ...docsPages().filter((page) => /^docs\/(calls|stores)\//.test(page)),
  'docs/errors.md',
  'docs/frameworks.md',
  'docs/lock-server.md',
  'docs/testing.md',
  'docs/web-locks.md',
  'docs/worker.md',
  'docs/writing-a-store.md',
]

const examplesOf = (language: string) =>
  reference.flatMap((page) => codeOf(readPage(page), language).map((code, index) => ({ name: `${page.replaceAll(/\W/g, '-')}-${index + 1}`, code })))
const examples = examplesOf('ts')
const components = examplesOf('tsx')

const storeOf = (name: string): string => examples.find(({ code }) => code.includes(`export function ${name}`))?.code ?? ''
const mapStore = storeOf('mapStore')
const serviceStore = storeOf('serviceStore')

/** Declares the names that examples use from earlier examples or from the reader's own program. */
const known = `
import type { HeldLock, Locks, Store } from 'storelock'
declare global {
  const locks: Locks
  const store: Store
  const lock: HeldLock
  const signal: AbortSignal
  function work(signal?: AbortSignal): Promise<void>
  function reload(): void
}`

const mapSuite = `
import { storeSuite } from 'storelock/testing'
import { mapStore } from './map-store.mjs'
const facts = storeSuite(() => {
  const rows = new Map()
  return {
    open: () => mapStore(rows),
    corrupt: (key) => rows.set('record ' + key, '{}'),
    raw: (key) => rows.get('record ' + key),
  }
})
for (const { name, run } of facts) await run().catch((cause) => Promise.reject(new Error(name, { cause })))
console.log(facts.length + ' facts')`

const serviceSuite = `
import { storeSuite } from 'storelock/testing'
import { serviceStore } from './service-store.mjs'
const facts = storeSuite(() => {
  const rows = new Map()
  const service = {
    get: async (ids) => new Map([...rows].filter(([id]) => ids.includes(id))),
    list: async (prefix) => [...rows.keys()].filter((id) => id.startsWith(prefix)).sort(),
    async swap(checks, puts) {
      if (checks.some(([id, version]) => rows.get(id)?.version !== version)) return false
      for (const [id, row] of puts) row ? rows.set(id, row) : rows.delete(id)
      return true
    },
  }
  return { open: () => serviceStore(service) }
})
for (const { name, run } of facts) await run().catch((cause) => Promise.reject(new Error(name, { cause })))
console.log(facts.length + ' facts')`

describe('the reference in docs/', () => {
  let project: Project
  beforeAll(async () => {
    project = await installPackage()
  }, 120_000)
  afterAll(() => project?.remove())

  it('has examples that compile without changes', () => {
    project.write('known.d.ts', known)
    project.write('map-store.ts', mapStore)
    project.write('locks.d.ts', "import type { Locks } from 'storelock'\nexport declare const locks: Locks")
    expect(examples.length).toBeGreaterThan(20)
    expect(components.length).toBeGreaterThan(0)
    for (const { name, code } of examples) project.write(`${name}.ts`, `${code}\nexport {}`)
    for (const { name, code } of components) project.write(`${name}.tsx`, code)
    const files = [...examples.map(({ name }) => `${name}.ts`), ...components.map(({ name }) => `${name}.tsx`)]
    expect(project.check(['known.d.ts', ...files], { module: ts.ModuleKind.NodeNext, jsx: ts.JsxEmit.ReactJSX })).toEqual([])
  }, 120_000)

  it('shows a complete store, which passes the suite for stores', () => {
    project.write('map-store.mjs', javaScript(mapStore))
    project.write('suite.mjs', mapSuite)
    expect(project.run('suite.mjs')).toMatch(/^[1-9]\d* facts\n$/)
  })

  it('shows a complete remote store in at most 60 lines, which passes the suite too', () => {
    expect(serviceStore.split('\n').length).toBeLessThanOrEqual(60)
    project.write('service-store.mjs', javaScript(serviceStore))
    project.write('service-suite.mjs', serviceSuite)
    expect(project.run('service-suite.mjs')).toMatch(/^[1-9]\d* facts\n$/)
  })

  it('mentions every export, option, method and error code', () => {
    const text = reference.map(readPage).join('\n')
    const names = ['index.ts', 'locks/types.ts', 'protocol/errors.ts', 'react/index.ts', 'frameworks/want.ts'].flatMap((file) =>
      publicNames(join(root, 'src', file)),
    )
    expect(names).toEqual(expect.arrayContaining(['createLocks', 'maxBackoff', 'whenFree', 'not-owner', 'retry']))
    expect(names.filter((name) => !text.includes(name))).toEqual([])
  })
})

/** The values a file exports, and the members and string literals of its exported types. */
function publicNames(path: string): string[] {
  const file = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.ES2022, true)
  const names: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isExportSpecifier(node) && !node.isTypeOnly && !node.parent.parent.isTypeOnly) names.push(node.name.text)
    if ((ts.isPropertySignature(node) || ts.isMethodSignature(node)) && ts.isIdentifier(node.name)) names.push(node.name.text)
    if (ts.isLiteralTypeNode(node) && ts.isStringLiteral(node.literal)) names.push(node.literal.text)
    ts.forEachChild(node, visit)
  }
  visit(file)
  return [...new Set(names)]
}
