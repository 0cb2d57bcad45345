import { createLocks } from 'storelock'
import { indexedDBStore } from 'storelock/stores/indexeddb'

const say = (item: string, what: object): void => localStorage.setItem(item, JSON.stringify(what))
const isPrerendered = (): boolean => (document as { prerendering?: boolean }).prerendering === true

const store = indexedDBStore('locks')
const prerendered = isPrerendered()
let granted = false
createLocks({ store })
  .acquire('leader')
  .then(() => {
    granted = true
    say('granted', { prerendered: isPrerendered() })
  })
// A session waits a second for its beacon and then starts without it. These looks go on for longer than that.
const { query } = createLocks({ store })
for (const end = performance.now() + 2_000; performance.now() < end; ) await query('leader')
say('looked', { prerendered, granted })
