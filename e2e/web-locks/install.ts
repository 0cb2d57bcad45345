import { createLocks } from 'storelock'
import { indexedDBStore } from 'storelock/stores/indexeddb'
import { installWebLocks } from 'storelock/web-locks'

// The same page or worker runs with the browser's locks, or with ours in their place: `?ours`.
if (new URLSearchParams(location.search).has('ours')) installWebLocks(createLocks({ store: indexedDBStore('web-locks'), duration: 60_000 }))
