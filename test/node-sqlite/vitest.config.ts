import { defineConfig } from 'vitest/config'

/** The tests that `main.ts` runs: files that run on better-sqlite3 too, and the files of this folder. */
export default defineConfig({
  resolve: { tsconfigPaths: true },
  test: {
    // Long enough for a busy machine.
    testTimeout: 30_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'node:sqlite',
          include: [
            'test/node-sqlite/*.test.ts',
            'test/stores/{names,server-side}.test.ts',
            // Tests that need two copies of a driver cannot run with a driver that is part of Node.
            'test/stores/sqlite{,-!(copies)}.test.ts',
            'test/beacons/*.test.ts',
            'test/cli/{looking,store}.test.ts',
            'test/locks/long-transactions.test.ts',
            'test/server/journal.test.ts',
            'test/worker/threads.test.ts',
          ],
        },
      },
      // The tests of processes depend on real time, so no other tests run beside them.
      { extends: true, test: { name: 'node:sqlite e2e', include: ['e2e/processes.test.ts'], sequence: { groupOrder: 1 } } },
    ],
  },
})
