import type { HeldLock } from 'storelock'

/** The contents of the object: your value, and the token of the lock under which it was written. */
interface Stamped<T> {
  readonly token: number
  readonly value: T
}

/**
 * Changes a JSON object in a bucket. No change is lost, and no earlier holder of the lock can write after this one.
 * @param edit makes the new value from the present one, which is `undefined` if there is no object. It may be called several times
 * @param send `fetch`, or one that signs requests
 */
export async function update<T>(url: string, lock: HeldLock, edit: (value: T | undefined) => T, send: typeof fetch = fetch): Promise<T> {
  const { token, signal } = lock
  for (;;) {
    const got = await send(url, { signal })
    if (!got.ok && got.status !== 404) throw new Error(`GET ${url}: ${got.status}`)
    const seen = got.ok ? ((await got.json()) as Stamped<T>) : undefined
    if (seen && seen.token > token) throw new Error(`${url} was written with token ${seen.token}; this lock has ${token} and is lost`)
    const value = edit(seen?.value)
    // Saves a request that would probably be refused. Safety does not depend on it.
    lock.assertHeld()
    const put = await send(url, {
      method: 'PUT',
      headers: { 'content-type': 'application/json', ...onlyIfUnchanged(got.headers.get('etag')) },
      // The token is in the body: S3's ETag is made of the body alone, so a token in a header would not change it.
      body: JSON.stringify({ token, value } satisfies Stamped<T>),
      signal,
    })
    if (put.ok) return value
    // 412: another client has written since we read. 409: another client is writing right now. Read the object again.
    if (put.status !== 412 && put.status !== 409) throw new Error(`PUT ${url}: ${put.status}`)
  }
}

const onlyIfUnchanged = (etag: string | null): Record<string, string> => (etag ? { 'if-match': etag } : { 'if-none-match': '*' })
