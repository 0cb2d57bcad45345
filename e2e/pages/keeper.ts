import { createLocks } from 'storelock'
import { indexedDBStore } from 'storelock/stores/indexeddb'
import { expose } from 'storelock/worker'
import type { KeeperSettings } from './workers.ts'

/** A worker that keeps its pages' locks. Its name holds the settings, as JSON. */
const { duration, maxSilence }: KeeperSettings = JSON.parse((globalThis as unknown as { readonly name: string }).name)

expose(createLocks({ store: indexedDBStore('locks'), duration }), undefined, { maxSilence })
