import { execFile, execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'
import Database from 'better-sqlite3'
import ts from 'typescript'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { excerptOf } from '../../bench/excerpt.ts'
import { fromPage } from '../../bench/pages.ts'
import { timeline } from '../../docs/pictures/timeline.ts'
import { installPackage, type Project } from './installed.ts'
import { codeOf, readPage } from './samples.ts'

const readme = readPage('README.md')
const [tabs = '', processes = '', fenced = '', calls = '', ...others] = codeOf(readme, 'ts')
const [ours = '', install = '', shell = '', ...commands] = codeOf(readme, 'sh')

const linesOf = (code: string): string[] => code.split('\n').filter(Boolean)

describe('the README', () => {
  it('has at most 9,000 bytes', () => {
    expect(Buffer.byteLength(readme)).toBeLessThanOrEqual(9_000)
  })

  it('shows the picture that its script draws', () => {
    expect(readme).toContain('](docs/pictures/timeline.svg)')
    expect(readPage('docs/pictures/timeline.svg')).toBe(timeline())
  })

  it('shows figures that are in the table of all figures', () => {
    expect(fromPage('README.md', 'bench')).toBe(excerptOf(fromPage('docs/benchmarks.md', 'bench')))
  })

  it('names two commands, which exist in package.json', () => {
    expect(linesOf(ours)).toEqual(['npm ci && npm run demo', 'npm ci && npm test'])
    const { scripts } = JSON.parse(readPage('package.json')) as { scripts: Record<string, string> }
    expect(Object.keys(scripts)).toEqual(expect.arrayContaining(['demo', 'test']))
  })

  it('names every error code', () => {
    const [type = ''] = /^export type LockErrorCode = .*$/m.exec(readPage('src/protocol/errors.ts')) ?? []
    const codes = [...type.matchAll(/'([\w-]+)'/g)].map(([, code]) => `\`${code}\``)
    expect(codes.length).toBeGreaterThan(5)
    expect(codes.filter((code) => !readme.includes(code))).toEqual([])
  })
})

describe('the README’s samples', () => {
  let project: Project
  beforeAll(async () => {
    project = await installPackage()
  }, 120_000)
  afterAll(() => project?.remove())

  it('all run here, except the one for tabs, which runs in a browser', () => {
    expect([others, commands]).toEqual([[], []])
    expect(linesOf(tabs).length).toBeLessThanOrEqual(8)
    expect(linesOf(processes).length).toBeLessThanOrEqual(8)
    const packages = linesOf(install).map((line) => /^npm install (\S+)/.exec(line)?.[1])
    expect(packages).toEqual(['storelock', 'better-sqlite3'])
  })

  it('are complete: each compiles without changes', () => {
    const samples = { 'tabs.ts': tabs, 'processes.ts': processes, 'fenced.ts': fenced, 'calls.ts': calls }
    for (const [name, code] of Object.entries(samples)) project.write(name, code)
    expect(project.check(Object.keys(samples), { module: ts.ModuleKind.NodeNext, types: ['node'] })).toEqual([])
  }, 120_000)

  it('let two processes take one lock in turn, each with its own token', async () => {
    project.write('report.mjs', processes)
    const run = () => promisify(execFile)(process.execPath, ['report.mjs'], { cwd: project.path('.') })
    const outputs = await Promise.all([run(), run()])
    const said = outputs.map(({ stdout }) => /^process (\d+) has the lock, token (\d+)\n$/.exec(stdout)?.slice(1).map(Number))
    expect(new Set(said.map((words) => words?.[0])).size).toBe(2)
    expect(new Set(said.map((words) => words?.[1])).size).toBe(2)
  })

  it('make a fenced write', () => {
    project.write('fenced.mjs', fenced)
    expect(project.run('fenced.mjs')).toContain("{ text: 'safe' }")
    const db = new Database(project.path('app.db'))
    expect(db.prepare('SELECT text FROM notes').pluck().all()).toEqual(['maybe too late', 'safe'])
    db.close()
  })

  it('make calls that all succeed while no other session wants the lock', () => {
    project.write('calls.mjs', calls)
    expect(project.run('calls.mjs')).toBe('{ held: [], pending: [] }\n')
  })

  it('run a command under a lock', () => {
    const program = project.path('node_modules/storelock/dist/cli/storelock.cjs')
    const script = ['set -e', shell.replaceAll('npx storelock', `sh ${program}`).replace('sleep 5', 'sleep 0.1')].join('\n')
    expect(script).toContain(`${program} run backup sleep`)
    execFileSync('sh', ['-c', script], { cwd: project.path('.'), encoding: 'utf8' })
    expect(existsSync(project.path('storelock.db'))).toBe(true)
  })
})
