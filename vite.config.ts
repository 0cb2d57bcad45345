import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config'
import { type EngineName, enginesHere } from './e2e/engines/engine.ts'
import { react18 } from './test/react/react-18.ts'

const long = '**/*.long.test.ts'

const root = import.meta.dirname
/** The tests that run in each engine. Tests of processes use no engine. */
const ofEngines = readdirSync(join(root, 'e2e'), { recursive: true, encoding: 'utf8' })
  .map((file) => `e2e/${file.replaceAll('\\', '/')}`)
  .filter((file) => /(?<!\.long)\.test\.ts$/.test(file) && readFileSync(join(root, file), 'utf8').includes('describeEachEngine('))

/** A project whose tests depend on real time: its files run one after another, in one process, and no other project runs at the same time. */
const inRealTime = (
  name: string,
  engine: EngineName,
  groupOrder: number,
  include: string[],
  exclude: string[] = [],
): TestProjectInlineConfiguration => ({
  extends: true,
  test: { name, include, exclude, provide: { engine }, fileParallelism: false, isolate: false, sequence: { groupOrder } },
})

export default defineConfig({
  // The pages import the sources by the names that users import.
  resolve: { tsconfigPaths: true },
  appType: 'mpa',
  server: { host: '127.0.0.1' },
  // The pages import few modules, which are already ESM. If Vite bundled them first, it would reload a page in the middle of a test.
  optimizeDeps: { noDiscovery: true, include: [] },
  test: {
    reporters: ['default', './e2e/engines/reporter.ts'],
    // Generous, since a test that is slow on a busy machine is not wrong.
    testTimeout: 30_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        // By default a machine with two cores would get only one worker.
        test: { name: 'unit', include: ['test/!(node-sqlite)/**/*.test.ts'], exclude: [long], maxWorkers: '100%' },
      },
      {
        extends: true,
        plugins: [react18()],
        test: { name: 'react-18', include: ['test/react/**/*.test.ts'], maxWorkers: '100%' },
      },
      inRealTime('e2e', 'chromium', 1, ['e2e/**/*.test.ts'], [long]),
      // Tests that `npm test` leaves out and `npm run test:more` runs.
      inRealTime('long', 'chromium', 2, [`test/${long}`, `e2e/${long}`]),
      ...enginesHere()
        .filter((name) => name !== 'chromium')
        .map((name, index) => inRealTime(name, name, 3 + index, ofEngines)),
    ],
  },
})
