import type { Mode } from '../model/counters.ts'

export interface Explained {
  readonly title: string
  readonly code: string
  readonly words: string
}

export const explained: Record<Mode, Explained> = {
  none: {
    title: 'No lock',
    code: `const value = await counter.read()
await think()
// Others have written meanwhile.
await counter.write(value + 1)`,
    words: 'Two workers read the same value, and both write the same next one: one of the two writes is lost.',
  },
  lease: {
    title: 'Lease only',
    code: `await locks.request('counter', async (lock) => {
  const value = await counter.read()
  await think()
  if (lock.isHeld())
    await counter.write(value + 1)
})`,
    words:
      'Safe while everyone is well. But a worker that hangs between the check and the write comes back after its lease has ended, and its late write wipes out what others wrote.',
  },
  fenced: {
    title: 'Fenced',
    code: `await locks.request('counter', async (lock) => {
  const value = await counter.read()
  await think()
  await store.transaction(lock, (tx) =>
    counter.write(tx, value + 1))
})`,
    words: 'The database checks the lock in the transaction that writes. A late write is refused, whatever happened before it.',
  },
}
