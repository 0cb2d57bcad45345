import type { HeldLock, Locks } from 'storelock'

/** Where an upload's bytes are kept. */
export interface Uploads {
  size(id: string): number
  append(id: string, bytes: Uint8Array): void
}

/**
 * Takes the rest of an upload, as resumable upload protocols do: what arrives is appended from where the last request stopped.
 * A client whose connection broke comes back while its first request still hangs; the second makes the first stop, keep what it has
 * and let go.
 *
 * @param body the bytes from the upload's present size on, which `from` is told
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

/** What a source gives until the signal aborts, also while it gives nothing. */
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
