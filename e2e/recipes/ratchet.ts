import { type DBSchema, openDB } from 'idb'
import { createLocks } from 'storelock'
import { type FenceSchema, indexedDBStore, upgradeIndexedDB } from 'storelock/stores/indexeddb'

/** The state from which a room's keys are made. No step can be undone, so old keys cannot be made again. */
interface Ratchet {
  readonly index: number
  readonly secret: Uint8Array<ArrayBuffer>
}

interface App extends DBSchema, FenceSchema {
  ratchets: { key: string; value: Ratchet }
}

// Not awaited here, since a service worker may not use top-level await.
const opening = openDB<App>('crypto', 1, {
  upgrade(db) {
    db.createObjectStore('ratchets')
    upgradeIndexedDB(db)
  },
})
const store = indexedDBStore(() => opening, { name: 'crypto' })
// The page uses the store all the time, the service worker only now and then. So the lock lingers where it was used last.
const locks = createLocks({ store, linger: 5_000 })
/** The ratchets in this context's memory. They are valid only as long as no other context has had the lock. */
const cache = new Map<string, Ratchet>()

/** The next key of a room. No two callers get the same key, whatever page or worker they are in. */
export async function nextKey(room: string): Promise<{ readonly index: number; readonly key: Uint8Array }> {
  return locks.request('crypto', async (lock) => {
    if (lock.dirty) cache.clear()
    const now = cache.get(room) ?? (await (await opening).get('ratchets', room)) ?? { index: 0, secret: crypto.getRandomValues(new Uint8Array(32)) }
    // Hashes before the transaction: IndexedDB commits a transaction that waits for anything but its own requests.
    const [key, secret] = await Promise.all([hash(now.secret, 1), hash(now.secret, 2)])
    const next = { index: now.index + 1, secret }
    cache.delete(room)
    await store.transaction(lock, ['ratchets'], (tx) => tx.objectStore('ratchets').put(next, room))
    // Only now may the key be used: after a crash before this point, the same key would be made again.
    cache.set(room, next)
    return { index: now.index, key }
  })
}

/** @param purpose makes different results from the same secret */
async function hash(secret: Uint8Array<ArrayBuffer>, purpose: number): Promise<Uint8Array<ArrayBuffer>> {
  const key = await crypto.subtle.importKey('raw', secret, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
  return new Uint8Array(await crypto.subtle.sign('HMAC', key, Uint8Array.of(purpose)))
}
