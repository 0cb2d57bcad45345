import type { Command, Mode, Outcome } from '../../src/protocol/index.ts'
import { age, notesOf } from './notes.ts'
import {
  type Ask,
  carryOut,
  holdersOf,
  isIn,
  type Key,
  keys,
  type Note,
  newSeat,
  pinsOf,
  queueOf,
  type Rules,
  type Seat,
  type State,
  times,
  type Wishes,
  withSeat,
} from './state.ts'

/** One thing that may happen next. */
export interface Move {
  /** The name of the session that makes the move, for descriptions. */
  readonly who: string
  readonly command?: Command
  /** What happens in addition to a command, or instead of one. */
  readonly text?: string
  /** What a look shows. */
  readonly sees?: Note
  /** What the command is based on. */
  readonly note?: Note
  /** Whether the command concerns another session's hold or place, so that it must be refused. */
  readonly meddles?: boolean
  /** What the session learns from the reply, or does by itself. */
  learn?(state: State, outcome: Outcome | undefined): State
}

/** A move that was made. */
export interface Step {
  readonly move: Move
  readonly before: State
  readonly outcome: Outcome | undefined
  readonly after: State
}

/** Makes a move. If nothing changed, `after` is the same object. */
export function make(rules: Rules, before: State, move: Move): Step {
  const { command } = move
  if (!command) return { move, before, outcome: undefined, after: move.learn?.(before, undefined) ?? before }
  const { outcome, state } = carryOut(rules, before, command)
  const noted = state === before ? state : age(before, state, command, outcome)
  return { move, before, outcome, after: move.learn?.(noted, outcome) ?? noted }
}

/** Everything that may happen in a state. Moves that the rules could not tell apart appear once. */
export function* moves(state: State, wishes: Wishes): Generator<Move> {
  for (const [index, seat] of state.seats.entries()) {
    if (seat.alive) yield* ofSession(state, seat, index, wishes)
    yield* aboutSession(state, seat)
  }
  for (const key of keys) {
    yield* onEvidence(state, key)
    yield* fromOutside(state, key)
    yield* meddling(state, key)
  }
}

const someone = 'someone'

/** What a session does, as `locks/` would. It may be too slow for any of this. */
function* ofSession(state: State, seat: Seat, index: number, wishes: Wishes): Generator<Move> {
  const { id: session, asks } = seat
  const who = session
  const set = (change: Partial<Seat>) => (next: State) => withSeat(next, index, change)

  yield { who, command: beatOf(session), learn: (next, outcome) => hear(next, index, outcome) }
  for (const ask of asks) yield* ofAsk(state, seat, index, ask)
  for (const key of keys) yield* requests(state, seat, index, key, wishes)
  if (!state.rows[session]) {
    const id = `${session[0]}${Number(session.slice(1)) + 1}`
    if (!asks.length) yield { who, command: { ...beatOf(id), opens: true }, learn: set(newSeat(id)) }
  } else if (isSeen(state, seat)) {
    yield { who, text: 'dies', learn: set({ alive: false }) }
    yield { who, command: { type: 'end', session }, learn: set({ asks: [] }) }
  }
}

const beatOf = (session: string) => ({ type: 'beat', session, client: session, lease: times.lease }) as const

/** Whether it matters to any session that this one lives. */
const isSeen = (state: State, { id, asks }: Seat): boolean =>
  asks.length > 0 || keys.some((key) => [...holdersOf(state, key), ...queueOf(state, key)].some(({ session }) => session === id))

/** The reply to a beat may say that the session has ended, or that holds were taken from it. The session then finds out which. */
function hear(state: State, index: number, outcome: Outcome | undefined): State {
  const seat = state.seats[index] as Seat
  if (outcome?.type === 'ended') return seat.asks.length ? withSeat(state, index, { asks: [] }) : state
  if (outcome?.type !== 'beaten' || outcome.session.evictions === seat.evictions) return state
  const stillHeld = ({ key, token }: Ask): boolean => holdersOf(state, key).some((holder) => holder.token === token && holder.session === seat.id)
  const asks = seat.asks.filter((ask) => ask.token === undefined || stillHeld(ask))
  return withSeat(state, index, { evictions: outcome.session.evictions, asks })
}

/** How many pending requests a session has for one key, at most. */
const maxAsks = 2

function* requests(state: State, { id: session, numbers, asks }: Seat, index: number, key: Key, wishes: Wishes): Generator<Move> {
  if (asks.filter((ask) => ask.key === key).length >= maxAsks) return
  const number = numbers[key] + 1
  const ask = (how: { mode: Mode; limit?: number; ifAvailable?: boolean; ifNoQueue?: boolean; steal?: boolean }, lost = false): Move => ({
    who: session,
    command: { type: 'request', key, session, client: session, number, confirm: times.confirm, ...how },
    ...(lost && { text: 'and the reply is lost' }),
    learn(next, outcome) {
      if (outcome?.type !== 'granted' && outcome?.type !== 'queued') return next
      const token = outcome.type === 'granted' && !lost ? outcome.holder.token : undefined
      return withSeat(next, index, {
        numbers: { ...numbers, [key]: number },
        asks: [...asks, { key, number, mode: how.mode, limit: how.limit, token }],
      })
    },
  })
  yield ask({ mode: 'exclusive' })
  if (!state.rows[session]) return
  const together = wishes === 'shared' ? ({ mode: 'shared' } as const) : ({ mode: 'exclusive', limit: 2 } as const)
  yield ask(together)
  yield ask(together, true)
  if (!holdersOf(state, key).length && !queueOf(state, key).length) yield ask({ mode: 'exclusive' }, true)
  else {
    // If the lock is free, these options make no difference. A queued request is known by its place, so a lost reply does not matter either.
    yield ask({ ...(wishes === 'shared' ? ({ mode: 'exclusive' } as const) : together), ifAvailable: true })
    if (queueOf(state, key).length) yield ask({ mode: 'exclusive', ifNoQueue: true })
    yield ask({ mode: 'exclusive', steal: true })
  }
}

function* ofAsk(state: State, { id: session, asks }: Seat, index: number, ask: Ask): Generator<Move> {
  const { key, number, mode, limit } = ask
  const who = session
  const put = (next: State, changed?: Ask): State =>
    withSeat(next, index, { asks: asks.flatMap((other) => (other === ask ? (changed ?? []) : other)) })
  const drop = (next: State): State => put(next)
  if (ask.token === undefined) {
    yield { who, text: 'again', command: { type: 'request', key, session, client: session, number, mode, limit, confirm: times.confirm } }
    yield { who, command: { type: 'withdraw', key, session, number }, learn: drop }
  }
  // A waiter looks at the record before it confirms.
  const token = ask.token ?? holdersOf(state, key).find((holder) => holder.session === session && holder.number === number)?.token
  if (token === undefined) return
  const told = (next: State, outcome: Outcome | undefined): State =>
    outcome?.type !== 'renewed' ? drop(next) : ask.token === undefined ? put(next, { ...ask, token }) : next
  for (const lease of [undefined, times.longer]) yield { who, command: { type: 'renew', key, session, token, lease }, learn: told }
  yield { who, command: { type: 'release', key, session, token }, learn: drop }
}

/** What other sessions may do to a session. */
function* aboutSession(state: State, seat: Seat): Generator<Move> {
  const { id: session, alive } = seat
  const row = state.rows[session]
  const { note } = state
  if (!row || !isSeen(state, seat)) return
  if (row.challenged !== row.seq) yield { who: someone, command: { type: 'challenge', session } }
  yield { who: someone, command: { type: 'end', session, seq: row.seq } }
  if (!alive) yield { who: someone, text: 'as its beacon is out', command: { type: 'end', session } }
  const seq = note?.session === session ? (note.evidence.seq ?? 0) : 0
  if (note && seq > 0) yield { who: someone, command: { type: 'end', session, seq }, note }
}

/**
 * What sessions do on evidence. The evidence is what the record shows now, since any session may have been silent for long enough, or what
 * was noted earlier. One note at a time is enough to explore old evidence.
 */
function* onEvidence(state: State, key: Key): Generator<Move> {
  const standing = [...notesOf(state, key)]
  if (!state.note) for (const note of standing) yield { who: someone, sees: note, learn: (next) => ({ ...next, note }) }
  // Which session sends it matters only if that session waits itself.
  const waiting = new Set(queueOf(state, key).map((run) => run.session))
  const sessions = state.seats.filter(({ id, alive }) => alive && state.rows[id] && waiting.has(id)).map(({ id }) => id)
  for (const note of state.note?.key === key ? [...standing, state.note] : standing)
    for (const session of [undefined, ...sessions])
      if (session !== note.session) yield { who: session ?? someone, command: { type: 'expire', key, session, evidence: note.evidence }, note }
}

/** What operators do. A pin may also come before there is a holder, but for the rules this makes no difference. */
function* fromOutside(state: State, key: Key): Generator<Move> {
  const who = someone
  const sessions = new Set(holdersOf(state, key).map(({ session }) => session))
  if (sessions.size) yield { who, command: { type: 'pin', key, entity: 'p' } }
  if (pinsOf(state, key).length) yield { who, command: { type: 'unpin', key, entity: 'p' } }
  if (sessions.size > 1) yield { who, command: { type: 'revoke', key } }
  for (const session of sessions) yield { who, command: { type: 'revoke', key, session } }
  if (state.records[key]) yield { who, command: { type: 'sweep', key } }
}

/** Commands on another session's hold or place. */
function* meddling(state: State, key: Key): Generator<Move> {
  const stranger = (owner: string): string | undefined => state.seats.find(({ id }) => id !== owner && state.rows[id])?.id
  for (const { session: owner, token, number } of holdersOf(state, key)) {
    const session = stranger(owner)
    if (session === undefined) continue
    const meddles = { who: session, meddles: true }
    yield { ...meddles, command: { type: 'release', key, session, token } }
    yield { ...meddles, command: { type: 'renew', key, session, token } }
    if (!isOwn(state, key, session, number)) yield { ...meddles, command: { type: 'withdraw', key, session, number } }
  }
  for (const { session: owner, from: number } of queueOf(state, key)) {
    const session = stranger(owner)
    if (session !== undefined && !isOwn(state, key, session, number))
      yield { who: session, meddles: true, command: { type: 'withdraw', key, session, number } }
  }
}

/** Each session numbers its own requests, so two may have the same number. */
const isOwn = (state: State, key: Key, session: string, asked: number): boolean =>
  holdersOf(state, key).some((holder) => holder.session === session && holder.number === asked) ||
  queueOf(state, key).some((run) => isIn(run, session, asked))
