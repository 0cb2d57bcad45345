import type { Common } from './args.ts'
import { print, printJson } from './output.ts'
import { withLock } from './store.ts'

/** Protects the holder of a lock, present or future, from eviction for silence. */
export async function pin(key: string, entity: string, { store: place, json }: Common): Promise<void> {
  await withLock(place, key, (locks, name) => locks.pin(name, entity))
  if (json) printJson({ key, pinned: entity })
  else print(`${key} is pinned by ${entity}`)
}

/** Undoes `pin`. Rejects with `not-held` if the entity has not pinned the lock. */
export async function unpin(key: string, entity: string, { store: place, json }: Common): Promise<void> {
  await withLock(place, key, (locks, name) => locks.unpin(name, entity))
  if (json) printJson({ key, unpinned: entity })
  else print(`${key} is no longer pinned by ${entity}`)
}
