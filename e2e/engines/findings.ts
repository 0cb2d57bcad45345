import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { TestModule } from 'vitest/node'
import { type EngineName, engineNames } from './engine.ts'

/** What a test run found out about an engine. */
export interface Finding {
  readonly engine: EngineName
  readonly version: string
  /** The optional features that this engine lacks. */
  readonly lacks: readonly string[]
  readonly leftOut: readonly { readonly fact: string; readonly why: string }[]
}

declare module 'vitest' {
  interface TaskMeta {
    /** The engine that a test runs in. */
    engine?: EngineName
    /** What a test found out about the engine. */
    about?: Pick<Finding, 'version' | 'lacks'>
  }
}

/** The findings about the engines that tests ran in. */
export function findingsOf(modules: readonly TestModule[]): Finding[] {
  const tests = modules.flatMap(({ children }) => [...children.allTests()])
  return engineNames.flatMap((engine) => {
    const here = tests.filter((test) => test.meta().engine === engine)
    const about = here.map((test) => test.meta().about).find(Boolean)
    if (!about) return []
    const leftOut = here.flatMap((test) => {
      const result = test.result()
      return result.state === 'skipped' ? [{ fact: `${test.module.relativeModuleId}: ${test.name}`, why: result.note ?? 'unknown' }] : []
    })
    return [{ engine, version: about.version, lacks: about.lacks, leftOut }]
  })
}

const path = join(import.meta.dirname, '..', '..', 'out', 'engines.json')

const read = (): Finding[] => (existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : [])

/** Saves findings, and replaces older ones about the same engines. */
export function saveFindings(findings: readonly Finding[]): void {
  const all = engineNames.flatMap((name) => [...findings, ...read()].find(({ engine }) => engine === name) ?? [])
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, `${JSON.stringify(all, null, 2)}\n`)
}

/**
 * The findings of the last full test run in each engine.
 * @throws Error if an engine has had no full run
 */
export function savedFindings(): Finding[] {
  const findings = read()
  const missing = engineNames.filter((name) => !findings.some(({ engine }) => engine === name))
  if (missing.length) throw new Error(`Nothing is known of ${missing.join(', ')}: run all tests first, by npm run test:all.`)
  return findings
}
