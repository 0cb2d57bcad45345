/**
 * One update of a key's row: it puts its own id where it saw that of the write before it, and counts one up.
 * The same stands in a log beside the rows, written in the same transaction, in the order in which the writes were committed.
 */
export interface Write {
  readonly id: string
  /** In a store that is wiped now and then, each of its lives has keys of its own. */
  readonly key: string
  /** Of the lock under which it was made. */
  readonly token: number
  /** The write that its writer saw as the last one; '' for none. */
  readonly saw: string
  readonly value: number
}

/** What a lock's key is called in one of the lives of a store that is wiped now and then. */
export const placeOf = (key: string, life: string): string => `${key} of ${life}`
export const keyOf = (place: string): string => place.split(' of ')[0] as string
export const lifeOf = (place: string): string => place.split(' of ')[1] ?? ''

/** What a worker notes before and after all that it does, so that it is known also of one that dies. */
export type Note =
  | { readonly type: 'ask'; readonly key: string }
  | { readonly type: 'grant'; readonly key: string; readonly token: number }
  | ({ readonly type: 'held' } & Hold)
  | { readonly type: 'invoke'; readonly write: Write }
  /** Acknowledged: the store said that it is written. */
  | { readonly type: 'ok'; readonly id: string }
  /** Refused: the store said that nothing is written. `blind`: the lock was not asked, only the store. */
  | { readonly type: 'fail'; readonly id: string; readonly blind: boolean }
  /** The store failed, and it may be written or not. */
  | { readonly type: 'info'; readonly id: string; readonly error: string }
  /** Something else failed, and the worker went on. */
  | { readonly type: 'trouble'; readonly error: string }

/** A note, and when it was taken, in ms on a monotonic clock that all share: `invoke` and `ask` not after what they announce, the others not before. */
export type Line = Note & { readonly at: number }

/** What came of a write, as its writer knows it. Whoever dies or falls silent leaves it ambiguous. */
export interface Operation {
  readonly write: Write
  readonly invokedAt: number
  end: 'acknowledged' | 'refused' | 'ambiguous'
  /** Infinity as long as it may still happen. */
  endedAt: number
  blind: boolean
}

export interface Grant {
  readonly key: string
  readonly token: number
  readonly askedAt: number
  readonly at: number
}

/** A worker found at both ends of this time that it held the lock. In ms, on a clock that the workers share. */
export interface Hold {
  readonly key: string
  readonly token: number
  readonly from: number
  readonly until: number
}

export interface History {
  /** By the id of the write. */
  readonly operations: ReadonlyMap<string, Operation>
  readonly grants: readonly Grant[]
  readonly holds: readonly Hold[]
  /** What failed besides, and how often. */
  readonly troubles: ReadonlyMap<string, number>
}

/** What stands in the store when all workers are gone, and what was read there before it was wiped. */
export interface Final {
  /** The last write of each key. */
  readonly rows: readonly Write[]
  /** All writes, in the order in which they were committed. */
  readonly log: readonly Write[]
  /** The keys that were wiped, and when the log was last read before that: on the clock of the history. */
  readonly wiped?: Readonly<Record<string, number>>
}

/** Puts together what the workers noted, each in the order of its own lines. */
export function historyOf(workers: Iterable<readonly Line[]>): History {
  const operations = new Map<string, Operation>()
  const grants: Grant[] = []
  const holds: Hold[] = []
  const troubles = new Map<string, number>()
  const trouble = (error: string) => troubles.set(error, (troubles.get(error) ?? 0) + 1)
  for (const lines of workers) {
    let askedAt = Number.NEGATIVE_INFINITY
    for (const line of lines) {
      if (line.type === 'ask') askedAt = line.at
      else if (line.type === 'grant') grants.push({ key: line.key, token: line.token, askedAt, at: line.at })
      else if (line.type === 'held') holds.push(line)
      else if (line.type === 'trouble') trouble(line.error)
      else if (line.type === 'invoke') {
        const { write, at } = line
        if (operations.has(write.id)) throw new Error(`two writes are both called ${write.id}`)
        operations.set(write.id, { write, invokedAt: at, end: 'ambiguous', endedAt: Number.POSITIVE_INFINITY, blind: false })
      } else {
        const operation = operations.get(line.id)
        if (!operation) throw new Error(`the write ${line.id} ended before it began`)
        if (line.type === 'info') trouble(line.error)
        else
          Object.assign(operation, {
            end: line.type === 'ok' ? 'acknowledged' : 'refused',
            endedAt: line.at,
            blind: line.type === 'fail' && line.blind,
          })
      }
    }
  }
  return { operations, grants, holds, troubles }
}

/** Reads the lines of one worker. A last one that its death cut off says nothing. */
export const parseLines = (text: string): Line[] =>
  text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Line)

export function byKey<T extends { readonly key: string }>(all: readonly T[]): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const each of all) {
    const group = groups.get(each.key)
    if (group) group.push(each)
    else groups.set(each.key, [each])
  }
  return groups
}
