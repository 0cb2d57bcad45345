import type {
  Changes,
  Command,
  Ground,
  Holder,
  HolderEvidence,
  LockRecord,
  Mode,
  Outcome,
  Run,
  SessionRow,
  WaiterEvidence,
} from '../../src/protocol/index.ts'

export const keys = ['k', 'l'] as const
export type Key = (typeof keys)[number]

/** Runs commands: `runBatch`, or a broken version. */
export type Rules = (commands: readonly Command[], ground: Ground) => Changes

/** Everything at one moment: what the store keeps, and what each session knows. Every move makes a new one. */
export interface State {
  readonly records: Readonly<Record<Key, LockRecord | undefined>>
  readonly rows: Readonly<Record<string, SessionRow>>
  readonly floor: number
  readonly seats: readonly Seat[]
  /** Evidence that a session saw once and may act on at any later time. */
  readonly note: Note | undefined
  /** The highest token of each key that was ever granted. */
  readonly highest: Readonly<Record<Key, number>>
}

/** A session, and after its end the next one of the same context. */
export interface Seat {
  /** Never reused once the session has ended. */
  readonly id: string
  /** A dead session does nothing any more. The store does not know that it is dead. */
  readonly alive: boolean
  /** The last request number, for each key. */
  readonly numbers: Readonly<Record<Key, number>>
  /** Its requests that it has not withdrawn or released, in the order of their numbers. */
  readonly asks: readonly Ask[]
  /** How many of its holds it knows to have been taken from it. */
  readonly evictions: number
}

export interface Ask {
  readonly key: Key
  readonly number: number
  readonly mode: Mode
  readonly limit?: number | undefined
  /** The token of the grant that it knows. The grant may have been taken meanwhile. */
  readonly token: number | undefined
}

/** Evidence that a session has noted. */
export interface Note {
  readonly key: Key
  /** The session that it is about. */
  readonly session: string
  readonly evidence: HolderEvidence | WaiterEvidence
  /** Whether the session has shown since that it lives: the note must not end it any more. */
  readonly heard: boolean
  /** Whether the hold or request was renewed, released or taken since: the note must not evict it any more. */
  readonly stale: boolean
}

/** Wall time does not move, so tokens rise by one. In ms. */
const now = 0
/** In ms; only compared, never waited for. */
export const times = { lease: 12_000, confirm: 3_000, longer: 60_000 }

/** The locks that sessions request: exclusive and shared ones, or exclusive ones and locks that two sessions may hold. */
export type Wishes = 'shared' | 'limited'

/** Some sessions, all of them open. */
export const start = (sessions: number): State => {
  const seats = Array.from({ length: sessions }, (_, index) => newSeat(`${'abcdef'[index]}1`))
  const rows = seats.map(({ id }): [string, SessionRow] => [
    id,
    { id, client: id, seq: 1, lease: times.lease, expiresAt: times.lease, evictions: 0, asks: 0 },
  ])
  return { records: { k: undefined, l: undefined }, rows: Object.fromEntries(rows), floor: 0, seats, note: undefined, highest: { k: 0, l: 0 } }
}

export const newSeat = (id: string): Seat => ({ id, alive: true, numbers: { k: 0, l: 0 }, asks: [], evictions: 0 })

/** The state with one seat changed. */
export const withSeat = (state: State, seat: number, change: Partial<Seat>): State => ({
  ...state,
  seats: state.seats.map((old, index) => (index === seat ? { ...old, ...change } : old)),
})

/** Carries out one command in the store. If nothing changed, the same object is returned. */
export function carryOut(rules: Rules, state: State, command: Command): { outcome: Outcome; state: State } {
  const changes = rules([command], {
    now,
    floor: state.floor,
    record: (key) => state.records[key as Key],
    session: (id) => state.rows[id],
    stale: () => [],
  })
  let { records, rows, floor, highest } = state
  for (const [key, record] of changes.records) if (record !== records[key as Key]) records = { ...records, [key]: record }
  for (const [id, row] of changes.sessions) {
    if (row === rows[id]) continue
    const { [id]: _, ...others } = rows
    rows = row ? { ...rows, [id]: row } : others
  }
  floor = changes.floor ?? floor
  const [outcome] = changes.outcomes
  if (!outcome) throw new Error(`no outcome of ${JSON.stringify(command)}`)
  if ('key' in command) {
    const key = command.key as Key
    for (const { token } of grantsOf(outcome)) highest = { ...highest, [key]: Math.max(highest[key], token) }
  }
  const same = records === state.records && rows === state.rows && floor === state.floor
  return { outcome, state: same ? state : { ...state, records, rows, floor, highest } }
}

/** All holds that a command gave, in the order of their tokens. */
export const grantsOf = (outcome: Outcome): readonly Holder[] => {
  if (!('grants' in outcome)) return []
  return outcome.type === 'granted' && !outcome.repeated ? [outcome.holder, ...outcome.grants] : outcome.grants
}

export const holdersOf = (state: State, key: Key): readonly Holder[] => state.records[key]?.holders ?? none
export const queueOf = (state: State, key: Key): readonly Run[] => state.records[key]?.queue ?? none
export const pinsOf = (state: State, key: Key): readonly string[] => state.records[key]?.pins ?? none
const none: readonly never[] = []

export const isIn = (run: Run, session: string, number: number): boolean => run.session === session && run.from <= number && number <= run.to
