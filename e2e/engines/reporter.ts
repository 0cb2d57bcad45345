import type { Reporter, TestModule, TestRunEndReason, Vitest } from 'vitest/node'
import { fromReadme } from '../../bench/readme.ts'
import { findingsOf, saveFindings } from './findings.ts'
import { outdated } from './table.ts'

/** After a run of all tests in real browsers, keeps what it found out about each engine, and fails where the README says something else. */
export default class EnginesReporter implements Reporter {
  #vitest: Vitest | undefined

  onInit(vitest: Vitest): void {
    this.#vitest = vitest
  }

  async onTestRunEnd(modules: readonly TestModule[], _: unknown, reason: TestRunEndReason): Promise<void> {
    if (reason !== 'passed' || !(await this.#ranAll(modules))) return
    const findings = findingsOf(modules)
    saveFindings(findings)
    const wrong = outdated(fromReadme('engines'), findings)
    if (!wrong.length) return
    console.error(`The README does not say what this run found out about ${wrong.join(', ')}: npm run engines writes it there.`)
    process.exitCode = 1
  }

  async #ranAll(modules: readonly TestModule[]): Promise<boolean> {
    const vitest = this.#vitest
    if (!vitest || vitest.config.testNamePattern) return false
    const files = await vitest.globTestSpecifications()
    const count = (all: readonly { readonly project: { readonly name: string } }[]): number =>
      all.filter(({ project }) => project.name === 'e2e').length
    return count(modules) > 0 && count(modules) === count(files)
  }
}
