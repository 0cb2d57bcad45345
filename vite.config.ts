import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
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

/**
 * Tests of whole programs, and of the package as it is installed. They start hundreds of processes, wait for real leases and build the package, so
 * `npm test` leaves them to `npm run test:more`.
 */
const programs = [
  'e2e/{cli*,processes,recipes-cron,server,server-config,server-end,servers,soak}.test.ts',
  'test/cli/{answers,busy,commands,completion,hostile,looking,place,postgres,redis-etcd,serve-postgres}.test.ts',
  'test/docs/start.test.ts',
  'test/electron/*.test.ts',
  'test/house/{bundlers,operations,package,pages,readme}.test.ts',
]

/** Many tests wait, so there is work for more workers than cores. By default a machine with two cores would get only one. */
const maxWorkers = Math.ceil(availableParallelism() * 1.5)

/** A project whose tests depend on real time: no other project runs at the same time. */
const inRealTime = (
  name: string,
  engine: EngineName,
  groupOrder: number,
  tests: { readonly include: string[]; readonly exclude?: string[]; readonly maxWorkers?: number },
): TestProjectInlineConfiguration => ({
  extends: true,
  test: { name, maxWorkers: 2, ...tests, provide: { engine }, isolate: false, sequence: { groupOrder } },
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
        test: { name: 'unit', include: ['test/!(node-sqlite)/**/*.test.ts'], exclude: [long, ...programs], maxWorkers },
      },
      {
        extends: true,
        plugins: [react18()],
        test: { name: 'react-18', include: ['test/react/**/*.test.ts'], maxWorkers },
      },
      inRealTime('e2e', 'chromium', 1, { include: ['e2e/**/*.test.ts'], exclude: [long, ...programs] }),
      // `npm run test:more` runs these.
      inRealTime('programs', 'chromium', 2, { include: programs, exclude: [long] }),
      inRealTime('long', 'chromium', 3, { include: [`test/${long}`, `e2e/${long}`], maxWorkers: 1 }),
      ...enginesHere()
        .filter((name) => name !== 'chromium')
        .map((name, index) => inRealTime(name, name, 4 + index, { include: ofEngines })),
    ],
  },
})
