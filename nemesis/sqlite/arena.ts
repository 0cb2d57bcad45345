import { join } from 'node:path'
import Database from 'better-sqlite3'
import { createLocks, type Store } from 'storelock'
import { sqliteStore } from 'storelock/stores/sqlite'
import type { Arena, Fault, Setting } from '../arena.ts'
import { tokenTable } from '../http/fence.ts'
import { runProcesses, type Start } from '../processes.ts'
import { rowsIn, tables } from './rows.ts'
import type { FileStart } from './worker.ts'

/** Processes on one SQLite file. */
export const openProcesses = (setting: Setting): Promise<Arena> => openWorkers(setting)

/** Lock servers, and the store that they keep their locks in. */
interface Served {
  open(): Store
  readonly urls: readonly string[]
}

/** Processes that write to one SQLite file. @param served the lock servers, if the locks are not in that file */
export async function openWorkers(setting: Setting, served?: Served): Promise<Arena> {
  const file = join(setting.folder, 'nemesis.db')
  const db = new Database(file)
  db.pragma('journal_mode = WAL')
  db.exec(tables)
  db.exec(tokenTable)
  const store = served ? served.open() : sqliteStore(db)
  const rows = rowsIn(db)
  const onlooker = createLocks({ store })
  const more: Omit<FileStart, keyof Start> = { file, urls: served?.urls }
  const { obey, ...processes } = await runProcesses(setting, 'nemesis/sqlite/worker.ts', more)
  const disk: Fault = { kind: 'disk held up', inflict: (worker, ms) => obey(worker, { type: 'occupy', ms: ms / 2 }) }
  return {
    ...processes,
    faults: [...processes.faults, disk],
    holder: async (key) => (await onlooker.query(key)).held[0]?.label?.replace(/\.\d+$/, ''),
    written: async () => rows.written(),
    final: async () => rows.final(),
    // All workers share one clock.
    allowed: { skew: 0, afterWipe: 0 },
    async close() {
      await processes.close()
      await onlooker.close()
      await store.close()
      db.close()
    },
  }
}
