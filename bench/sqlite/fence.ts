import { join } from 'node:path'
import Database from 'better-sqlite3'
import { createLocks } from 'storelock'
import { sqliteStore } from 'storelock/stores/sqlite'
import { compared, type Measure } from '../figure.ts'
import { inFolder } from '../folder.ts'
import { alternate } from '../rounds.ts'

export const measures: Record<string, Measure> = {
  'sqlite.fencedWrite': (progress) =>
    inFolder(async (folder) => {
      const db = new Database(join(folder, 'app.db'))
      db.pragma('journal_mode = WAL')
      db.pragma('synchronous = NORMAL')
      db.exec('CREATE TABLE rows (key TEXT PRIMARY KEY, value INTEGER NOT NULL)')
      const store = sqliteStore(db)
      const locks = createLocks({ store })
      const lock = await locks.acquire('job')
      const put = db.prepare('INSERT INTO rows VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value')
      let value = 0
      const write = (): void => {
        put.run('row', ++value)
      }
      const bare = db.transaction(write)
      const measured = await alternate(
        {
          ours: {
            iterations: 300,
            async run(iterations) {
              for (let i = 0; i < iterations; i++) await store.transaction(lock, write)
            },
          },
          bare: {
            iterations: 300,
            run(iterations) {
              for (let i = 0; i < iterations; i++) bare.immediate()
            },
          },
        },
        150,
        progress,
      )
      await locks.close()
      await store.close()
      db.close()
      return [compared('sqlite.fencedWrite', measured, 'ours', 'bare', 'the same write in a bare BEGIN IMMEDIATE transaction', 1.3)]
    }),
}
