import type { HeldLock, Locks } from 'storelock'

/** Where an upload's bytes are kept. */
export interface Uploads {
  size(id: string): number
  append(id: string, bytes: Uint8Array): void
}

/**
 * Receives the rest of an upload, as resumable upload protocols do: new bytes are appended where the last request stopped.
 * A client whose connection broke comes back while its first request still hangs. The second request makes the first one stop, keep
 * its bytes and release the lock.
 *
 * @param body gets the upload's present size as `from`, and yields the bytes from there on
 * @returns the upload's size at the end of this request
 */
export async function upload(locks: Locks, uploads: Uploads, id: string, body: (from: number) => AsyncIterable<Uint8Array>): Promise<number> {
  const asked = new AbortController()
  const options = { ask: 'another request for this upload', steal: true, grace: 5_000, onReleaseRequested: () => asked.abort() }
  const take = async (lock: HeldLock): Promise<number> => {
    const stop = AbortSignal.any([asked.signal, lock.signal])
    for await (const bytes of until(stop, body(uploads.size(id)))) {
      lock.assertHeld()
      uploads.append(id, bytes)
    }
    return uploads.size(id)
  }
  await using lock = await locks.acquire(`upload ${id}`, options)
  return await take(lock)
}

/** Yields a source's items until the signal aborts, even while the source yields nothing. */
async function* until<T>(signal: AbortSignal, source: AsyncIterable<T>): AsyncGenerator<T> {
  const aborted = new Promise<{ done: true; value: undefined }>((resolve) => {
    signal.addEventListener('abort', () => resolve({ done: true, value: undefined }), { once: true })
  })
  const items = source[Symbol.asyncIterator]()
  while (!signal.aborted) {
    const { done, value } = await Promise.race([items.next(), aborted])
    if (done) return
    yield value
  }
}
