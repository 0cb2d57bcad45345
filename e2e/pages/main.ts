import { deleteDB, openDB } from 'idb'
import { createLocks } from 'storelock'
import { indexedDBStore, upgradeIndexedDB } from 'storelock/stores/indexeddb'
import { runFact } from './suite.ts'

/** What tests reach by `page.evaluate`, as the global `storelock`. */
const exposed = { createLocks, indexedDBStore, upgradeIndexedDB, openDB, deleteDB, runFact }

declare global {
  var storelock: typeof exposed
}

globalThis.storelock = exposed
