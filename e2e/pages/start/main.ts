import { openDB } from 'idb'
import { createLocks } from 'storelock'
import { indexedDBStore, upgradeIndexedDB } from 'storelock/stores/indexeddb'

const db = await openDB('app', 1, {
  upgrade(db) {
    db.createObjectStore('numbers')
    upgradeIndexedDB(db) // adds the object stores of the locks
  },
})
const store = indexedDBStore(db)
const locks = createLocks({ store })

async function addOne(): Promise<number> {
  return await locks.request('count', async (lock) => {
    // One tab at a time gets here; the others wait for their turn.
    const count: number = (await db.get('numbers', 'count')) ?? 0
    await new Promise((resolve) => setTimeout(resolve, 200)) // as long as a request to your server takes
    await store.transaction(lock, ['numbers'], (tx) => tx.objectStore('numbers').put(count + 1, 'count'))
    return count + 1
  })
}

const output = document.querySelector('output') as HTMLOutputElement
document.querySelector('button')?.addEventListener('click', async () => {
  output.value = 'waiting …'
  output.value = `the count is ${await addOne()}`
})
