import type { Reporter, TestModule, TestRunEndReason, Vitest } from 'vitest/node'
import { fromPage } from '../../bench/pages.ts'
import { engineNames } from './engine.ts'
import { findingsOf, saveFindings } from './findings.ts'
import { enginesPage, outdated } from './table.ts'

/**
 * After a full test run in an engine, saves the findings about it, and fails if the page about engines says something else. Prints what a
 * run left out.
 */
export default class EnginesReporter implements Reporter {
  #vitest: Vitest | undefined

  onInit(vitest: Vitest): void {
    this.#vitest = vitest
  }

  async onTestRunEnd(modules: readonly TestModule[], _: unknown, reason: TestRunEndReason): Promise<void> {
    const vitest = this.#vitest
    if (reason !== 'passed' || !vitest || vitest.config.testNamePattern) return
    const ran = modules.map(({ project, moduleId }) => `${project.name} ${moduleId}`)
    const files = (await vitest.globTestSpecifications()).map(({ project, moduleId }) => ({ project, key: `${project.name} ${moduleId}` }))
    const ranAll = (name: string): boolean => {
      const its = files.filter(({ project }) => project.name === name)
      return its.length > 0 && its.every(({ key }) => ran.includes(key))
    }
    // Chromium runs them in the project of all end-to-end tests.
    const whole = engineNames.filter((engine) => ranAll(engine === 'chromium' ? 'e2e' : engine))
    const findings = findingsOf(modules).filter(({ engine }) => whole.includes(engine))
    saveFindings(findings)
    const wrong = outdated(fromPage(enginesPage, 'engines'), findings)
    if (wrong.length) {
      console.error(`${enginesPage} does not say what this run found out about ${wrong.join(', ')}: npm run engines writes it there.`)
      process.exitCode = 1
    }
    if (ranAll('unit') && ranAll('e2e') && !modules.some(({ project }) => project.name === 'programs'))
      console.log(
        'Left out: the command line and the lock server as programs, the package as installed, Electron, Firefox, WebKit, node:sqlite, crowds, faults of database servers, the nemeses, long simulations and their mutants. npm run test:more runs these.\n',
      )
  }
}
