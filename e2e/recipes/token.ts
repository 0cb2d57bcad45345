import { type DBSchema, openDB } from 'idb'
import { createLocks } from 'storelock'
import { type FenceSchema, indexedDBStore, upgradeIndexedDB } from 'storelock/stores/indexeddb'

export interface Tokens {
  readonly access: string
  /** Valid for one refresh. */
  readonly refresh: string
  /** Wall time in ms. */
  readonly expiresAt: number
}

interface App extends DBSchema, FenceSchema {
  tokens: { key: string; value: Tokens }
}

const db = await openDB<App>('auth', 1, {
  upgrade(db) {
    db.createObjectStore('tokens')
    upgradeIndexedDB(db)
  },
})
const store = indexedDBStore(db)
const locks = createLocks({ store })

/** Stores the tokens of a user who has just signed in. */
export async function keepTokens(tokens: Tokens): Promise<void> {
  await locks.request('tokens', (lock) => store.transaction(lock, ['tokens'], (tx) => tx.objectStore('tokens').put(tokens, 'mine')))
}

/**
 * A token that is valid for at least half a minute more. Any number of tabs may ask at once; one of them refreshes.
 * @param refresh asks the server for new tokens
 */
export async function accessToken(refresh: (refreshToken: string, signal: AbortSignal) => Promise<Tokens>): Promise<string> {
  const known = await db.get('tokens', 'mine')
  if (known && isFresh(known)) return known.access
  return locks.request('tokens', async (lock) => {
    // Another tab may have refreshed while this one waited.
    const tokens = await db.get('tokens', 'mine')
    if (!tokens) throw new Error('nobody is signed in')
    if (isFresh(tokens)) return tokens.access
    const next = await refresh(tokens.refresh, AbortSignal.any([lock.signal, AbortSignal.timeout(10_000)]))
    await store.transaction(lock, ['tokens'], (tx) => tx.objectStore('tokens').put(next, 'mine'))
    return next.access
  })
}

const isFresh = ({ expiresAt }: Tokens): boolean => expiresAt > Date.now() + 30_000
