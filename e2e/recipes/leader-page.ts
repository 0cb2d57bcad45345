import '../pages/main.ts'
import { createLocks } from 'storelock'
import { indexedDBStore } from 'storelock/stores/indexeddb'
import { lead } from './leader.ts'

const locks = createLocks({ store: indexedDBStore('locks') })
const stop = new AbortController()

/** What tests call in the page, as the global `leader`. */
const exposed = {
  leads: false,
  /** How often this tab has become the leader. */
  terms: 0,
  stop: () => stop.abort(),
  waiting: async (): Promise<number> => (await locks.query('sync')).pending.length,
}

declare global {
  var leader: typeof exposed
}

globalThis.leader = exposed

lead(
  locks,
  'sync',
  async (signal) => {
    exposed.leads = true
    exposed.terms++
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve))
    exposed.leads = false
  },
  stop.signal,
)
