// What the smallest page holds that uses locks in IndexedDB.
import { createLocks } from 'storelock'
import { indexedDBStore } from 'storelock/stores/indexeddb'

Object.assign(globalThis, { createLocks, indexedDBStore })
