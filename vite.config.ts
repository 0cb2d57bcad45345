import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config'
import { type EngineName, enginesHere } from './e2e/engines/engine.ts'
import { react18 } from './test/react/react-18.ts'

const long = '**/*.long.test.ts'

/** Facts of an engine are the same in each; those of processes have none. */
const root = import.meta.dirname
const ofEngines = readdirSync(join(root, 'e2e'), { recursive: true, encoding: 'utf8' })
  .map((file) => `e2e/${file.replaceAll('\\', '/')}`)
  .filter((file) => /(?<!\.long)\.test\.ts$/.test(file) && readFileSync(join(root, file), 'utf8').includes('describeEachEngine('))

/** Real time counts in it: one file after another, in one process, and no other project at the same time. */
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
  // What the pages import is few modules, and ESM already; bundling them first would reload a page in the middle of a test.
  optimizeDeps: { noDiscovery: true, include: [] },
  test: {
    reporters: ['default', './e2e/engines/reporter.ts'],
    // A busy machine is slow, not wrong.
    testTimeout: 30_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        // Unless told so, a machine of two cores would be given one.
        test: { name: 'unit', include: ['test/!(node-sqlite)/**/*.test.ts'], exclude: [long], maxWorkers: '100%' },
      },
      {
        extends: true,
        plugins: [react18()],
        test: { name: 'react-18', include: ['test/react/**/*.test.ts'], maxWorkers: '100%' },
      },
      inRealTime('e2e', 'chromium', 1, ['e2e/**/*.test.ts'], [long]),
      // What `npm test` leaves out, and `npm run test:more` has.
      inRealTime('long', 'chromium', 2, [`test/${long}`, `e2e/${long}`]),
      ...enginesHere()
        .filter((name) => name !== 'chromium')
        .map((name, index) => inRealTime(name, name, 3 + index, ofEngines)),
    ],
  },
})
