import { SessionBeats } from '../../src/locks/core/beats.ts'
import { Grant, type Granted, type GrantTerms, leaseFor } from '../../src/locks/core/grant.ts'
import { Key } from '../../src/locks/core/key.ts'
import type { LetGo } from '../../src/locks/core/known.ts'
import { Observer } from '../../src/locks/core/observer.ts'
import type { Request } from '../../src/locks/core/request.ts'
import {
  type Changes,
  type Command,
  emptyView,
  type Holder,
  type LockRecord,
  type LockView,
  type Outcome,
  runBatch,
  type SessionRow,
  viewOf,
} from '../../src/protocol/index.ts'

export const key = 'k'

/** In ticks of the one monotonic clock that all clients share. */
export const times = { duration: 3, lease: leaseFor(3), confirm: 4, maxBackoff: 1 }

/** The parts of a client: the real ones, or broken ones. */
export interface Parts {
  readonly Key: typeof Key
  readonly Grant: typeof Grant
  readonly SessionBeats: typeof SessionBeats
  readonly Observer: typeof Observer
  /** What the shell does to an answer before it uses it. */
  readonly answer: (seat: Seat, answer: Answered, now: number) => Answered
}

export const realParts: Parts = { Key, Grant, SessionBeats, Observer, answer: (_, answer) => answer }

/** A request with an id that stays the same when its number changes. */
export interface Asked extends Request {
  readonly id: number
}

/** A client and its state. */
export interface Seat {
  readonly id: string
  alive: boolean
  readonly key: Key<Asked, Grant>
  readonly beats: SessionBeats
  readonly observer: Observer
  /** The number of requests that it has made, and of beats that it has sent. */
  asked: number
  beaten: number
  /** Whether it has to look again, because a hint came while a look was under way. */
  again: boolean
}

/** Why a command was sent, which tells what its answer is for. */
export type Purpose =
  | { readonly for: 'request' | 'confirm'; readonly request: number; readonly number: number }
  | { readonly for: 'renewal'; readonly token: number }
  | { readonly for: 'letGo'; readonly what: LetGo }
  | { readonly for: 'beat' | 'others' }

interface Sent {
  readonly seat: number
  readonly command: Command
  readonly purpose: Purpose
  readonly sent: number
}

export interface Answered extends Sent {
  readonly outcome: Outcome | undefined
}

/** A message on its way: a command to the store, its answer, the result of a look, or a hint. An answer without an outcome is an error. */
export type Item = {
  /** Whether it was just sent, so that it arrives at once unless it is held up. */
  readonly fresh: boolean
  readonly seat: number
} & (
  | ({ readonly is: 'command' } & Sent)
  | ({ readonly is: 'answer' } & Answered)
  | { readonly is: 'look'; readonly index: number; readonly sent: number; readonly view: LockView }
  | { readonly is: 'hint'; readonly grant: Holder | undefined }
)

/** The whole state at one moment. A move changes a copy. */
export interface World {
  now: number
  record: LockRecord | undefined
  rows: Map<string, SessionRow>
  floor: number
  readonly seats: Seat[]
  /** How many clients may hold the lock together, if more than one. */
  readonly limit: number | undefined
  /** In the order in which they were sent. */
  items: Item[]
  /** How many faults may still happen: messages that are late, lost or doubled, a store that fails, a crash, a steal. */
  faults: number
  /** The highest token that was granted, and the highest that a client has begun to use. */
  highest: number
  used: number
  /** Whether a lock was stolen: its old holder believes that it holds the lock until it hears of the steal. */
  stolen: boolean
  /** What a client did wrong, if anything. */
  flaw: string | undefined
}

const surroundings = (id: string) => ({ id, trusted: true, confirm: times.confirm, duration: times.duration })

const newSeat = (parts: Parts, id: string): Seat => ({
  id,
  alive: true,
  key: new parts.Key<Asked, Grant>(surroundings(id), key, 0),
  beats: new parts.SessionBeats(),
  observer: new parts.Observer(),
  asked: 0,
  beaten: 0,
  again: false,
})

/** A world with a free lock, and clients whose sessions are open. */
export function start(parts: Parts, clients: number, faults: number, limit?: number): World {
  const ids = Array.from({ length: clients }, (_, index) => 'abc'[index] ?? '')
  const rows = ids.map((id): [string, SessionRow] => [id, { id, client: id, seq: 1, lease: times.lease, expiresAt: 0, evictions: 0, asks: 0 }])
  const seats = ids.map((id) => newSeat(parts, id))
  for (const [index, [, row]] of rows.entries()) seats[index]?.beats.count(row, 0, 0)
  return {
    now: 0,
    record: undefined,
    rows: new Map(rows),
    floor: 0,
    seats,
    limit,
    items: [],
    faults,
    highest: 0,
    used: 0,
    stolen: false,
    flaw: undefined,
  }
}

export const copy = (parts: Parts, world: World): World => ({
  ...world,
  rows: new Map(world.rows),
  items: [...world.items],
  seats: world.seats.map((seat) => copySeat(parts, seat)),
})

function copySeat(parts: Parts, seat: Seat): Seat {
  const next = newSeat(parts, seat.id)
  const { asked, beaten, alive, again } = seat
  Object.assign(next, { asked, beaten, alive, again })
  Object.assign(next.beats, seat.beats)
  for (const [who, sight] of seat.observer.sights) next.observer.sights.set(who, sight)
  const { requests, grants, ...own } = seat.key
  Object.assign(next.key, own)
  for (const [number, request] of requests) next.key.requests.set(number, { ...request })
  for (const [grant, looks] of grants) next.key.grants.set(copyGrant(parts, grant, next.beats), looks)
  return next
}

const copyGrant = (parts: Parts, grant: Grant, beats: SessionBeats): Grant =>
  Object.assign(new parts.Grant({ ...grant, reserve: undefined, previous: 0, seq: undefined }, grant, undefined, beats, 0), grant, { beats })

export const newGrant = (parts: Parts, seat: Seat, granted: Granted, terms: GrantTerms, now: number): Grant =>
  new parts.Grant(granted, terms, undefined, seat.beats, now)

/** Carries out a command in the store. */
export function carryOut(world: World, command: Command): Outcome {
  const changes: Changes = runBatch([command], {
    now: 0,
    floor: world.floor,
    record: () => world.record,
    session: (id) => world.rows.get(id),
    stale: () => [],
  })
  for (const record of changes.records.values()) world.record = record
  for (const [id, row] of changes.sessions) {
    if (row) world.rows.set(id, row)
    else world.rows.delete(id)
  }
  world.floor = changes.floor ?? world.floor
  world.stolen ||= command.type === 'request' && command.steal === true
  const [outcome] = changes.outcomes
  if (!outcome) throw new Error(`no outcome of ${JSON.stringify(command)}`)
  if ('grants' in outcome) {
    const grants = outcome.type === 'granted' && !outcome.repeated ? [outcome.holder, ...outcome.grants] : outcome.grants
    for (const { token } of grants) {
      if (token <= world.highest) world.flaw ??= `token ${token} was granted after ${world.highest}`
      world.highest = Math.max(world.highest, token)
    }
  }
  return outcome
}

/** The record, as a look would show it now. */
export const lookAt = ({ record, rows }: World): LockView => (record ? viewOf(record, (id) => rows.get(id)) : emptyView(key))
