import { type InProcessBeacon, inProcessBeacon } from '../beacons/in-process.ts'
import { inProcessChannel } from '../channels/in-process.ts'
import {
  assertStep,
  type Command,
  decodeRecord,
  decodeSession,
  encodeRecord,
  encodeSession,
  type Fenced,
  fencedOut,
  isAllFixed,
  isEmpty,
  LockError,
  type LockRecord,
  type LockView,
  names,
  type Outcome,
  rowsOf,
  runBatch,
  viewOf,
  wallClock,
} from '../protocol/index.ts'
import type { Channel, FencedStore } from '../store.ts'

/** How many session rows a beat returns. */
const shown = 16

/** How many decoded records are kept. */
const capacity = 100

export interface MemoryStoreOptions {
  /** Wall time in ms since 1970. Default `Date.now`. */
  now?: (() => number) | undefined
}

/** The locks of this store protect the process's own memory. A fenced step cannot be undone, so its body must not throw half-way. */
export interface MemoryStore extends FencedStore<undefined> {
  readonly channel: Channel
  readonly beacon: InProcessBeacon
}

/** A store for the sessions of one process, and for tests. It ends with the process. */
export function memoryStore({ now = Date.now }: MemoryStoreOptions = {}): MemoryStore {
  // Records are kept as text, so that the store shares no objects with its callers.
  const records = new Map<string, string>()
  /** The keys of records that are not empty. */
  const busy = new Set<string>()
  const sessions = new Map<string, string>()
  /** Some decoded records as they were last written, for commands: a command never changes a record, but makes a new one. */
  const fixed = new Map<string, LockRecord>()
  let floor = 0
  let closed = false
  const wall = wallClock(now)

  const recordOf = (key: string) => decode(records.get(key), (text) => decodeRecord(key, text))
  const sessionOf = (id: string) => decode(sessions.get(id), (text) => decodeSession(id, text))

  const look = (key: string, reader?: string): LockView | undefined => {
    const record = recordOf(key)
    return record && viewOf(record, sessionOf, reader)
  }

  const assertOpen = (): void => {
    if (closed) throw new LockError('closed', 'the store was closed')
  }

  const check = (lock: Fenced): void => {
    assertOpen()
    lock.assertHeld()
    const record = sessions.has(lock.session) && recordOf(lock.key)
    if (!record || !names(record, lock)) throw fencedOut(lock)
  }

  const apply = (commands: readonly Command[]): Outcome[] => {
    assertOpen()
    const time = wall()
    const stale = (after?: string) => {
      const ids = [...sessions.keys()].sort()
      const round = after === undefined ? ids : [...ids.filter((id) => id > after), ...ids.filter((id) => id <= after)]
      const rows = round.flatMap((id) => sessionOf(id) ?? [])
      return rows.filter(({ expiresAt }) => after !== undefined || expiresAt < time).slice(0, shown)
    }
    const record = (key: string): LockRecord | undefined => fixed.get(key) ?? recordOf(key)
    const changes = runBatch(commands, { now: time, floor, record, session: sessionOf, stale })
    for (const [key, record] of changes.records) {
      put(records, key, record && encodeRecord(record))
      if (fixed.size >= capacity) fixed.clear()
      if (record && isAllFixed(record)) fixed.set(key, record)
      else fixed.delete(key)
      if (record && !isEmpty(record)) busy.add(key)
      else busy.delete(key)
    }
    for (const [id, row] of changes.sessions) put(sessions, id, row && encodeSession(row))
    floor = changes.floor ?? floor
    return changes.outcomes
  }

  return {
    check: (_, lock) => check(lock),
    async transaction<T>(lock: Fenced, body: (tx: undefined) => T): Promise<Awaited<T>> {
      check(lock)
      const checked = lock.checked?.(true)
      let renewed: Outcome | undefined
      try {
        const result = body(undefined)
        assertStep(result)
        const renewal = checked?.renewal()
        if (renewal) [renewed] = apply([renewal])
        return await result
      } finally {
        const wait = checked?.over(renewed)
        if (wait) await wait
      }
    },
    channel: inProcessChannel(),
    beacon: inProcessBeacon(),
    apply: async (commands) => apply(commands),
    async read(key, reader) {
      assertOpen()
      return look(key, reader)
    },
    async rows(ids) {
      assertOpen()
      return rowsOf(ids, sessionOf)
    },
    async list(prefix = '', part = {}) {
      assertOpen()
      const keys = [...(part.busy ? busy : records.keys())].filter((key) => key.startsWith(prefix)).sort()
      return keys.map((key) => look(key) as LockView)
    },
    async page(prefix, after, limit, part = {}) {
      assertOpen()
      const keys = [...(part.busy ? busy : records.keys())].filter((key) => key.startsWith(prefix) && (after === undefined || key > after)).sort()
      return keys.slice(0, limit).map((key) => look(key) as LockView)
    },
    async close() {
      closed = true
    },
  }
}

const decode = <T>(text: string | undefined, read: (text: string) => T): T | undefined => (text === undefined ? undefined : read(text))

function put(rows: Map<string, string>, id: string, text: string | undefined): void {
  if (text === undefined) rows.delete(id)
  else rows.set(id, text)
}
