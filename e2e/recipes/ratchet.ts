import { type DBSchema, openDB } from 'idb'
import { createLocks } from 'storelock'
import { type FenceSchema, indexedDBStore, upgradeIndexedDB } from 'storelock/stores/indexeddb'

/** What makes the keys of a room: each step forgets how the key before it was made. */
interface Ratchet {
  readonly index: number
  readonly secret: Uint8Array<ArrayBuffer>
}

interface App extends DBSchema, FenceSchema {
  ratchets: { key: string; value: Ratchet }
}

// Not awaited here: a service worker may not.
const opening = openDB<App>('crypto', 1, {
  upgrade(db) {
    db.createObjectStore('ratchets')
    upgradeIndexedDB(db)
  },
})
const store = indexedDBStore(() => opening, { name: 'crypto' })
// The page uses the store all the time and the service worker now and then, so the lock stays where it was used last.
const locks = createLocks({ store, linger: 5_000 })
/** As this context has them in memory. Right only while nobody else had the lock. */
const cache = new Map<string, Ratchet>()

/** The next key of a room. No two callers, in whatever page or worker, get the same one. */
export async function nextKey(room: string): Promise<{ readonly index: number; readonly key: Uint8Array }> {
  return locks.request('crypto', async (lock) => {
    if (lock.dirty) cache.clear()
    const now = cache.get(room) ?? (await (await opening).get('ratchets', room)) ?? { index: 0, secret: crypto.getRandomValues(new Uint8Array(32)) }
    // Before the transaction: one that waits for anything but its own requests ends by itself.
    const [key, secret] = await Promise.all([hash(now.secret, 1), hash(now.secret, 2)])
    const next = { index: now.index + 1, secret }
    cache.delete(room)
    await store.transaction(lock, ['ratchets'], (tx) => tx.objectStore('ratchets').put(next, room))
    // The key may be used only now: before, a crash would have had it made again.
    cache.set(room, next)
    return { index: now.index, key }
  })
}

/** @param purpose has different results from one secret */
async function hash(secret: Uint8Array<ArrayBuffer>, purpose: number): Promise<Uint8Array<ArrayBuffer>> {
  const key = await crypto.subtle.importKey('raw', secret, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
  return new Uint8Array(await crypto.subtle.sign('HMAC', key, Uint8Array.of(purpose)))
}
