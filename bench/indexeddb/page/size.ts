// The code of the smallest page that uses locks in IndexedDB.
import { createLocks } from 'storelock'
import { indexedDBStore } from 'storelock/stores/indexeddb'

Object.assign(globalThis, { createLocks, indexedDBStore })
