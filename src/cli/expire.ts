import type { Common } from './args.ts'
import { unlessAborted, untilSignal } from './interrupt.ts'
import { assertSomeoneHolds } from './near.ts'
import { print, printJson } from './output.ts'
import { withLock } from './store.ts'

/** Evicts the holders of a lock if they stay silent for their whole lease. Rejects with `held` as soon as one of them shows that it lives. */
export async function expire(key: string, { store: place, json }: Common): Promise<void> {
  await assertSomeoneHolds(place, key)
  await untilSignal((signal) => withLock(place, key, (locks, name) => unlessAborted(signal, locks.expire(name))))
  if (json) printJson({ key, expired: true })
  else print(`the holder of ${key} was silent for its lease, and was evicted`)
}
