import { byKey, type Final, type History, type Write } from './history.ts'

// A site that clears its storage, or a page that deletes a database, also takes away what the run is to be judged by. So:
//
// - A database has a name of its own for each of its lives, which stands in it from its first transaction to its end.
// - The history calls a key after the life in which its lock was granted: each life is a store of its own, that begins with nothing.
// - A tab that looks on reads the log as it grows, and once more right before each wipe.
// - What stands there under the name of another life was written through a lock of that one: the fence has failed.
// - What was acknowledged before the last reading began, and was not read, is lost, as if nothing had been wiped.
// - What was acknowledged later cannot be read any more. But each write says which one it saw before it, so that all that
//   were acknowledged must be one chain, which goes on where the reading ended. Where two of them saw the same, one is lost.
// - Of what was not acknowledged by then, only that is known which others saw.

/** Appends to the log of what was wiped the writes that must have been made there after it was last read. */
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
