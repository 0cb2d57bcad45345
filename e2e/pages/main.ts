import { deleteDB, openDB } from 'idb'
import { createLocks } from 'storelock'
import { httpStore } from 'storelock/stores/http'
import { fenceStore, indexedDBStore, upgradeIndexedDB } from 'storelock/stores/indexeddb'
import { edit } from '../../test/examples/locked-edit.ts'
import { startWorker } from './start-worker.ts'
import { runFact } from './suite.ts'

/** What tests call by `page.evaluate`, as the global `storelock`. */
const exposed = { createLocks, fenceStore, httpStore, indexedDBStore, upgradeIndexedDB, openDB, deleteDB, edit, runFact, startWorker }

declare global {
  var storelock: typeof exposed
}

globalThis.storelock = exposed
