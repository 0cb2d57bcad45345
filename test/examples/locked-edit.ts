import type { HeldLock, Locks } from 'storelock'
import type { HttpStore } from 'storelock/stores/http'

/** Changes a file under the lock of the file's name, from a lock server. Runs in Node or in a page. */
export async function edit(locks: Locks, store: HttpStore, files: string, name: string, change: (text: string) => string): Promise<void> {
  await locks.request(name, async (lock: HeldLock) => {
    const send = async (method: string, body: string | null = null): Promise<string> => {
      const headers = { 'lock-token': store.lockToken(lock) }
      const response = await fetch(`${files}/${encodeURIComponent(name)}`, { method, body, headers, signal: lock.signal })
      if (!response.ok) throw new Error(`refused with ${response.status}: ${await response.text()}`)
      return await response.text()
    }
    await send('PUT', change(await send('GET')))
  })
}
