/**
 * One update of a key's row: it replaces the id of the write before it by its own, and counts up by one. The same is appended to a log beside the
 * rows, in the same transaction, in the order of the commits.
 */
export interface Write {
  readonly id: string
  /** If a store is wiped now and then, each of its lives has its own keys. */
  readonly key: string
  /** The token of the lock under which the write was made. */
  readonly token: number
  /** The id of the last write that its writer saw, or ''. */
  readonly saw: string
  readonly value: number
}

/** The name of a lock's key in one of the lives of a store that is wiped now and then. */
export const placeOf = (key: string, life: string): string => `${key} of ${life}`
export const keyOf = (place: string): string => place.split(' of ')[0] as string
export const lifeOf = (place: string): string => place.split(' of ')[1] ?? ''

/** What a worker records before and after each action, so that it is known even if the worker dies. */
export type Note =
  | { readonly type: 'ask'; readonly key: string }
  | { readonly type: 'grant'; readonly key: string; readonly token: number }
  | ({ readonly type: 'held' } & Hold)
  | { readonly type: 'invoke'; readonly write: Write }
  /** Acknowledged: the store confirmed the write. */
  | { readonly type: 'ok'; readonly id: string }
  /** Refused: the store said that nothing was written. `blind`: the worker asked only the store, not the lock. */
  | { readonly type: 'fail'; readonly id: string; readonly blind: boolean }
  /** Ambiguous: the store failed, and the write may or may not be there. */
  | { readonly type: 'info'; readonly id: string; readonly error: string }
  /** Something else failed, and the worker went on. */
  | { readonly type: 'trouble'; readonly error: string }

/** A note with its time, in ms on a monotonic clock that all workers share: `invoke` and `ask` no later than their events, the others no earlier. */
export type Line = Note & { readonly at: number }

/** The result of a write, as its writer knows it. It is ambiguous if the writer died or fell silent. */
export interface Operation {
  readonly write: Write
  readonly invokedAt: number
  end: 'acknowledged' | 'refused' | 'ambiguous'
  /** Infinity as long as the write may still happen. */
  endedAt: number
  blind: boolean
}

export interface Grant {
  readonly key: string
  readonly token: number
  readonly askedAt: number
  readonly at: number
}

/** A time at whose start and end a worker found that it held the lock. In ms, on a clock that the workers share. */
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
  /** Other errors, and how often each happened. */
  readonly troubles: ReadonlyMap<string, number>
}

/** The contents of the store when all workers are gone, and what was read in it before it was wiped. */
export interface Final {
  /** The last write of each key. */
  readonly rows: readonly Write[]
  /** All writes, in the order in which they were committed. */
  readonly log: readonly Write[]
  /** The keys that were wiped, each with the time of the last reading of the log before that, on the clock of the history. */
  readonly wiped?: Readonly<Record<string, number>>
}

/** Combines the lines of all workers, each in its own order. */
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

/** Reads the lines of one worker. A last line that its death cut off is ignored. */
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
