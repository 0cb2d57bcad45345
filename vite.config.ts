import { defineConfig } from 'vitest/config'

export default defineConfig({
  // The pages import the sources by the names that users import.
  resolve: { tsconfigPaths: true },
  appType: 'mpa',
  server: { host: '127.0.0.1' },
  // What the pages import is few modules, and ESM already; bundling them first would reload a page in the middle of a test.
  optimizeDeps: { noDiscovery: true, include: [] },
  test: {
    reporters: ['default', './e2e/engines/reporter.ts'],
    projects: [
      {
        extends: true,
        // A busy machine is slow, not wrong.
        test: {
          name: 'unit',
          include: ['test/!(node-sqlite)/**/*.test.ts'],
          testTimeout: 30_000,
          hookTimeout: 60_000,
          // Unless told so, a machine of two cores would be given one.
          maxWorkers: '100%',
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['e2e/**/*.test.ts'],
          testTimeout: 30_000,
          hookTimeout: 60_000,
          // Real time counts here: one file after another, and none beside the unit tests.
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
