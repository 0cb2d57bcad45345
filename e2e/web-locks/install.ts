import { createLocks } from 'storelock'
import { indexedDBStore } from 'storelock/stores/indexeddb'
import { installWebLocks } from 'storelock/web-locks'

// The same page, or worker, for both: with `?ours` it does not know that its locks are not the browser's.
if (location.search === '?ours') installWebLocks(createLocks({ store: indexedDBStore('web-locks'), duration: 60_000 }))
