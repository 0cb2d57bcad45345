import { defineConfig } from 'vitest/config'

/** What `main.ts` runs: files that run on better-sqlite3 too, and those of this folder. */
export default defineConfig({
  resolve: { tsconfigPaths: true },
  test: {
    // A busy machine is slow, not wrong.
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
            // Tests that need two copies of a driver cannot run with one that is part of Node.
            'test/stores/sqlite{,-!(copies)}.test.ts',
            'test/beacons/*.test.ts',
            'test/cli/{looking,store}.test.ts',
            'test/locks/long-transactions.test.ts',
            'test/server/journal.test.ts',
            'test/worker/threads.test.ts',
          ],
        },
      },
      // Real time counts in those of processes: none beside them.
      { extends: true, test: { name: 'node:sqlite e2e', include: ['e2e/processes.test.ts'], sequence: { groupOrder: 1 } } },
    ],
  },
})
