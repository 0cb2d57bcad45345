import { byKey, type Final, type History, type Write } from './history.ts'

// A site that clears its storage, or a page that deletes a database, also removes the data by which the run is judged. So:
//
// - Each life of a database has its own name, which the database contains from its first transaction to its end.
// - The history names a key after the life in which its lock was granted, so that each life counts as a store of its own that starts empty.
// - A tab that does not take part reads the log as it grows, and once more right before each wipe.
// - If a life's log has a write with the name of another life, it was written under a lock of that other life: the fence has failed.
// - A write that was acknowledged before the last reading began, but was not read, is lost, just as without a wipe.
// - Writes that were acknowledged later cannot be read any more. But each write names the write that it saw, so all acknowledged writes
//   must form one chain, which continues where the reading ended. If two of them saw the same write, one of the two is lost.
// - A write that was not acknowledged by then is known only if another write saw it.

/** Appends to the log of wiped keys the writes that must have been made after the log was last read. */
export function completed({ operations }: History, final: Final): Final {
  const { wiped = {} } = final
  const read = new Set(final.log.map(({ id }) => id))
  const tail = new Map<string, Write>()
  const add = (write: Write | undefined): void => {
    for (let each = write; each && !read.has(each.id) && !tail.has(each.id); each = operations.get(each.saw)?.write) tail.set(each.id, each)
  }
  for (const { write, end, endedAt } of operations.values()) {
    const readAt = wiped[write.key]
    if (readAt !== undefined && end === 'acknowledged' && endedAt > readAt) add(write)
  }
  const log = [...final.log, ...[...tail.values()].sort((one, other) => one.value - other.value)]
  const last = [...byKey(log).values()].flatMap((writes) => writes.at(-1) ?? [])
  return { rows: [...final.rows, ...last.filter(({ key }) => wiped[key] !== undefined)], log }
}
