import fc from 'fast-check'
import { type Command, emptyRecord, type KeyCommand, type LockRecord, type Outcome, type SessionRow } from '../../src/protocol/index.ts'
import { confirm, type KeyOutcome, lease, Shelf } from './shelf.ts'

const verbs = {
  ...{ request: 14, ifAvailable: 1, steal: 1, repeat: 2, renew: 5, release: 9, withdraw: 3, expire: 6, expireWaiter: 2 },
  ...{ revoke: 1, pin: 1, unpin: 3, sweep: 2, beat: 4, end: 1, challenge: 1 },
}

/** The key whose lock three sessions can hold at once. Most requests for it have the limit 3; a few have another limit. */
const limitedKey = 'n'

/** A planned step of a history. `who` and `pick` are resolved when the step is played, against the state at that moment. */
interface Action {
  readonly verb: keyof typeof verbs
  readonly who: number
  readonly key: string
  readonly pick: number
  /** Whether the owner itself acts, and with true evidence. */
  readonly honest: boolean
  readonly shared: boolean
  readonly lease: number | undefined
  readonly reserve: number | undefined
  /** How far wall time moves before the step, in ms. */
  readonly drift: number
}

const action: fc.Arbitrary<Action> = fc.record({
  verb: fc.oneof(...Object.entries(verbs).map(([verb, weight]) => ({ weight, arbitrary: fc.constant(verb as Action['verb']) }))),
  who: fc.nat(3),
  key: fc.constantFrom('k', 'k', 'k', 'l', limitedKey, limitedKey),
  pick: fc.nat(5),
  honest: fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
  shared: fc.boolean(),
  lease: fc.option(fc.integer({ min: confirm, max: 60_000 }), { nil: undefined, freq: 4 }),
  reserve: fc.option(fc.nat(3), { nil: undefined }),
  drift: fc.oneof({ weight: 4, arbitrary: fc.nat(50) }, { weight: 1, arbitrary: fc.integer({ min: -900_000, max: 900_000 }) }),
})

/** Random histories of several sessions that contend for a few keys. */
export const history = fc.array(action, { minLength: 40, maxLength: 120 })

/** One command of a history, with the whole state before and after it. */
export interface Step {
  readonly command: Command
  readonly outcome: Outcome
  readonly now: number
  /** The records of all keys, and all session rows. */
  readonly before: State
  readonly after: State
}

interface State {
  readonly record: (key: string) => LockRecord
  readonly sessions: Readonly<Record<string, SessionRow>>
}

/** A step whose command acts on a record. */
export interface KeyStep {
  readonly command: KeyCommand
  readonly outcome: KeyOutcome
  readonly now: number
  readonly before: LockRecord
  readonly after: LockRecord
  readonly rowsBefore: State['sessions']
  readonly rowsAfter: State['sessions']
}

/** The step as a step on a record, or `undefined` if its command acts on a session's row. */
export function onKey({ command, outcome, now, before, after }: Step): KeyStep | undefined {
  if (!('key' in command)) return undefined
  if (!('record' in outcome)) throw new Error(`${command.type} failed: ${JSON.stringify(outcome)}`)
  const { key } = command
  return { command, outcome, now, before: before.record(key), after: after.record(key), rowsBefore: before.sessions, rowsAfter: after.sessions }
}

/** The sessions of a history: four seats. When the session of a seat has ended, the seat gets a new session id. */
class Cast {
  readonly #generations = [0, 0, 0, 0]
  #number = 0

  session(who: number): string {
    return `${'abcd'[who]}${this.#generations[who]}`
  }

  renew(who: number): string {
    this.#generations[who] = (this.#generations[who] ?? 0) + 1
    return this.session(who)
  }

  number(): number {
    return ++this.#number
  }
}

/** Plays a history one command at a time. Leaves out commands that have nothing to act on. */
export function play(actions: readonly Action[], see: (step: Step, shelf: Shelf) => void): void {
  const shelf = new Shelf()
  const cast = new Cast()
  for (const who of [0, 1, 2, 3]) shelf.run([{ type: 'beat', session: cast.session(who), client: 'c', lease, opens: true }])
  for (const action of actions) {
    shelf.now += action.drift
    const command = settle(action, shelf, cast)
    if (!command) continue
    const before = state(shelf)
    const [outcome] = shelf.run([command])
    if (outcome) see({ command, outcome, now: shelf.now, before, after: state(shelf) }, shelf)
  }
}

function state(shelf: Shelf): State {
  const records = new Map([...shelf.records.keys()].map((key) => [key, shelf.record(key)]))
  const sessions = Object.fromEntries([...shelf.sessions.keys()].flatMap((id) => shelf.session(id) ?? []).map((row) => [row.id, row]))
  const { floor } = shelf
  return { record: (key) => records.get(key) ?? emptyRecord(key, floor), sessions }
}

function settle({ verb, who, key, pick, honest, shared, ...rest }: Action, shelf: Shelf, cast: Cast): Command | undefined {
  const session = cast.session(who)
  const record = shelf.record(key) ?? emptyRecord(key)
  const holder = at(record.holders, pick)
  const run = at(record.queue, pick)
  const request = { type: 'request', key, session, client: 'c', confirm, lease: rest.lease, reserve: rest.reserve } as const
  const isLimited = key === limitedKey && (honest || pick > 1)
  const mode = shared && !isLimited ? 'shared' : 'exclusive'
  const limit = isLimited ? (honest || pick > 3 ? 3 : 2) : undefined
  const owner = (session: string): string => (honest ? session : cast.session((who + 1) % 4))

  switch (verb) {
    case 'request':
      return { ...request, number: cast.number(), mode, limit }
    case 'ifAvailable':
      return { ...request, number: cast.number(), mode, limit, ifAvailable: true }
    case 'steal':
      return { ...request, number: cast.number(), mode: 'exclusive', steal: true }
    case 'repeat': {
      const claim = at([...record.holders, ...record.queue.map((queued) => ({ ...queued, number: queued.to }))], pick)
      if (!claim) return undefined
      const { session, number, mode, limit, lease, reserve } = claim
      return { ...request, session, number, mode, limit, lease, reserve }
    }
    case 'renew':
      return holder && { type: 'renew', key, session: owner(holder.session), token: holder.token, lease: rest.lease }
    case 'release':
      return holder && { type: 'release', key, session: owner(holder.session), token: holder.token }
    case 'withdraw': {
      if (run) return { type: 'withdraw', key, session: owner(run.session), number: run.from + (pick % (run.to - run.from + 1)) }
      return holder && { type: 'withdraw', key, session: owner(holder.session), number: holder.number }
    }
    case 'expire': {
      const seq = holder?.seq ?? (holder && shelf.session(holder.session)?.seq)
      return holder && { type: 'expire', key, session, evidence: { token: holder.token, seq: honest ? seq : (seq ?? 1) + (shared ? 1 : -1) } }
    }
    case 'expireWaiter': {
      const seq = run && shelf.session(run.session)?.seq
      return run && { type: 'expire', key, session, evidence: { session: run.session, number: run.from, seq: honest ? seq : (seq ?? 1) - 1 } }
    }
    case 'revoke':
      return { type: 'revoke', key, session: honest ? (holder?.session ?? session) : session }
    case 'pin':
    case 'unpin':
      return { type: verb, key, entity: shared ? 'p' : 'q' }
    case 'sweep':
      return { type: 'sweep', key }
    case 'beat': {
      const alive = shelf.session(session) !== undefined
      return { type: 'beat', session: alive ? session : cast.renew(who), client: 'c', lease, opens: !alive }
    }
    case 'end':
      return { type: 'end', session, seq: honest ? undefined : -1 }
    case 'challenge':
      return { type: 'challenge', session }
  }
}

const at = <T>(items: readonly T[], pick: number): T | undefined => items[pick % items.length]
