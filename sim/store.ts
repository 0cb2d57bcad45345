import {
  type Command,
  type Fenced,
  fencedOut,
  type LockRecord,
  type LockView,
  names,
  type Outcome,
  rowsOf,
  runBatch,
  type SessionRow,
  viewOf,
} from '../src/protocol/index.ts'

/** The highest number of overdue session rows that a beat returns. */
const fewRows = 4

/** A store in memory, where each call is one step. Its rows are frozen, so that no caller can change what others see. */
export class PlainStore {
  readonly #records = new Map<string, LockRecord>()
  readonly #sessions = new Map<string, SessionRow>()
  readonly #now: () => number
  #floor = 0

  constructor(now: () => number) {
    this.#now = now
  }

  get keys(): string[] {
    return [...this.#records.keys()].sort()
  }

  get sessions(): string[] {
    return [...this.#sessions.keys()]
  }

  record(key: string): LockRecord | undefined {
    return this.#records.get(key)
  }

  session(id: string): SessionRow | undefined {
    return this.#sessions.get(id)
  }

  apply(commands: readonly Command[]): Outcome[] {
    const now = this.#now()
    const changes = runBatch(commands, {
      now,
      floor: this.#floor,
      record: (key) => this.#records.get(key),
      session: (id) => this.#sessions.get(id),
      stale: (after) => this.#some(after, now),
    })
    for (const [key, record] of changes.records) put(this.#records, key, record)
    for (const [id, row] of changes.sessions) put(this.#sessions, id, row)
    this.#floor = changes.floor ?? this.#floor
    return changes.outcomes
  }

  /** The rows that follow this id, wrapping around, or overdue rows if there is no id. */
  #some(after: string | undefined, now: number): SessionRow[] {
    const rows = [...this.#sessions.values()]
    if (after === undefined) return rows.filter(({ expiresAt }) => expiresAt < now).slice(0, fewRows)
    rows.sort((a, b) => (a.id < b.id ? -1 : 1))
    return [...rows.filter(({ id }) => id > after), ...rows.filter(({ id }) => id <= after)].slice(0, 16)
  }

  read(key: string, reader?: string): LockView | undefined {
    const record = this.#records.get(key)
    return record && viewOf(record, (id) => this.#sessions.get(id), reader)
  }

  rows(sessions: readonly string[]): Map<string, SessionRow> {
    return rowsOf(sessions, (id) => this.#sessions.get(id))
  }

  list(prefix = ''): LockView[] {
    return this.keys.filter((key) => key.startsWith(prefix)).map((key) => this.read(key) as LockView)
  }

  /** Writes the data that locks protect, or throws if the record of one of the locks does not name it. */
  write(locks: readonly Fenced[], body: () => void): void {
    for (const lock of locks) {
      const record = this.#sessions.has(lock.session) && this.#records.get(lock.key)
      if (!record || !names(record, lock)) throw fencedOut(lock)
    }
    body()
  }
}

function put<Row extends object>(rows: Map<string, Row>, id: string, row: Row | undefined): void {
  if (row === undefined) rows.delete(id)
  else rows.set(id, freeze(row))
}

function freeze<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  for (const part of Object.values(value)) freeze(part)
  return Object.freeze(value)
}
