import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { installPackage, type Project, root } from './installed.ts'

const readme = readFileSync(join(root, 'README.md'), 'utf8')
const codeOf = (page: string, language: 'ts' | 'tsx'): string[] =>
  [...page.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))].map(([, code = '']) => code)
const lockServer = readFileSync(join(root, 'docs', 'lock-server.md'), 'utf8')
const examples = [...codeOf(readme, 'ts'), ...codeOf(lockServer, 'ts')]
const components = codeOf(readme, 'tsx')

const mapStore = examples.find((code) => code.includes('export function mapStore')) ?? ''

const serviceStore = examples.find((code) => code.includes('export function serviceStore')) ?? ''

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

/** What the README's later examples take as known from earlier ones or from the reader's own program. */
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

const suite = `
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

const javaScript = (code: string): string =>
  ts.transpileModule(code, { compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext } }).outputText

describe('the README', () => {
  let project: Project
  beforeAll(() => {
    project = installPackage()
  }, 120_000)
  afterAll(() => project?.remove())

  it('has examples that are right as they stand, and so has the page on the lock server', () => {
    project.write('known.d.ts', known)
    project.write('map-store.ts', mapStore)
    const files = examples.map((code, index) => {
      project.write(`example-${index + 1}.ts`, `${code}\nexport {}`)
      return `example-${index + 1}.ts`
    })
    expect(files.length).toBeGreaterThan(5)
    expect(components.length).toBeGreaterThan(0)
    for (const [index, code] of components.entries()) {
      project.write(`component-${index + 1}.tsx`, code)
      files.push(`component-${index + 1}.tsx`)
    }
    expect(project.check(['known.d.ts', ...files], { module: ts.ModuleKind.NodeNext, jsx: ts.JsxEmit.ReactJSX })).toEqual([])
  }, 60_000)

  it('opens with an example of ten lines that runs', () => {
    const [code = ''] = examples
    expect(code.split('\n').filter(Boolean).length).toBeLessThanOrEqual(10)
    project.write('first.mjs', javaScript(code))
    expect(project.run('first.mjs')).toMatch(/^I hold "report" with token \d+\n$/)
  })

  it('shows a whole store, which passes the suite for stores', () => {
    project.write('map-store.mjs', javaScript(mapStore))
    project.write('suite.mjs', suite)
    expect(project.run('suite.mjs')).toMatch(/^[1-9]\d* facts\n$/)
  })

  it('shows a whole remote store in at most 60 lines, which passes the suite too', () => {
    expect(serviceStore.split('\n').length).toBeLessThanOrEqual(60)
    project.write('service-store.mjs', javaScript(serviceStore))
    project.write('service-suite.mjs', serviceSuite)
    expect(project.run('service-suite.mjs')).toMatch(/^[1-9]\d* facts\n$/)
  })

  it('mentions every export, option, method and error code', () => {
    const names = ['index.ts', 'locks/types.ts', 'protocol/errors.ts', 'react/index.ts', 'frameworks/want.ts'].flatMap((file) =>
      publicNames(join(root, 'src', file)),
    )
    expect(names).toEqual(expect.arrayContaining(['createLocks', 'maxBackoff', 'whenFree', 'not-owner']))
    expect(names.filter((name) => !readme.includes(name))).toEqual([])
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
