import type { HeldLock, Locks } from 'storelock'

/** Changes a file on the server. Clients take turns, in the order in which they asked. */
export async function change(locks: Locks, server: string, name: string, edit: (text: string) => string): Promise<void> {
  await using lock = await locks.acquire(name)
  const text = await send(lock, 'GET', `${server}/${name}`)
  lock.assertHeld()
  // A client that is stopped right here for a minute still believes that it may write. The server refuses that write.
  await send(lock, 'PUT', `${server}/${name}`, edit(text))
}

async function send({ token, signal }: HeldLock, method: string, url: string, body: string | null = null): Promise<string> {
  const response = await fetch(url, { method, body, signal, headers: { 'fencing-token': String(token) } })
  const answer = await response.text()
  if (!response.ok) throw new Error(`refused with ${response.status}: ${answer}`)
  return answer
}
