import type { Expire, KeyCommand, Outcome, Renew, Request, SessionCommand, WaiterEvidence } from './commands.ts'
import { type Context, Draft, type Result, type Step } from './draft.ts'
import { type Holder, type LockRecord, limitOf, type Run, type SessionRow } from './record.ts'
import { contains } from './runs.ts'

export type { Context, Step } from './draft.ts'

/** How many times a grant that nobody confirms sends its waiter to the back of the queue; after that the waiter is dropped. */
const maxLapses = 2

/** What one command does to one key's record. All rules of a lock are here, without clock and I/O. */
export function reduce(record: LockRecord, command: KeyCommand, context: Context): Step {
  const draft = new Draft(record, context)
  const own = 'session' in command && command.type !== 'revoke' ? command.session : undefined
  draft.dropEnded(own)
  const result = carryOut(draft, command)
  draft.grantNext(own)
  const step = draft.finish(result)
  return command.type === 'sweep' && result === done ? { ...step, record: undefined } : step
}

const done: Result = { type: 'done' }

function carryOut(draft: Draft, command: KeyCommand): Result {
  if ('standing' in command && command.standing && !draft.session(command.session)) {
    draft.dropEnded(undefined)
    return 'ended'
  }
  switch (command.type) {
    case 'request':
      return request(draft, command)
    case 'renew':
    case 'release': {
      const holder = draft.owned(command)
      if (typeof holder === 'string') return holder
      if (command.type === 'renew') return renew(draft, command, holder)
      draft.remove(holder)
      return done
    }
    case 'withdraw':
      return withdraw(draft, command.session, command.number)
    case 'expire':
      return 'number' in command.evidence ? expireWaiter(draft, command.evidence) : expireHolder(draft, command)
    case 'revoke':
      return revoke(draft, command.session)
    case 'pin':
      if (!draft.pins.includes(command.entity)) draft.pins = [...draft.pins, command.entity]
      return done
    case 'unpin':
      if (!draft.pins.includes(command.entity)) return 'not-held'
      draft.pins = draft.pins.filter((entity) => entity !== command.entity)
      return done
    case 'sweep':
      return draft.holders.length || draft.queue.length || draft.pins.length ? 'busy' : done
  }
}

function request(draft: Draft, command: Request): Result {
  const { session, number, mode, limit, confirm } = command
  if (!draft.session(session)) return 'ended'
  const granted = draft.holders.find((holder) => holder.session === session && holder.number === number)
  if (granted) return { type: 'granted', holder: granted, repeated: true }
  if (draft.queue.some((run) => contains(run, session, number))) return { type: 'queued' }
  const others = draft.holders.length || draft.queue.length
  if ((others && limitOf(draft) !== limit) || (limit && (mode === 'shared' || command.steal))) return 'limit'
  if (command.steal) {
    draft.evict(draft.holders, 'stolen')
  } else if (draft.queue.length || !draft.allows(command)) {
    if (command.ifAvailable || (command.ifNoQueue && draft.queue.length)) return 'busy'
    const first = !draft.queue.length
    draft.enqueue(command, number, { confirm, lapses: 0 }, command.ask)
    for (const { session, reserve } of draft.holders) {
      // A holder that may linger has to learn that a request waits; telling it once is enough.
      if (command.ask !== undefined || (first && reserve !== undefined)) draft.bump(session, 'asks')
    }
    return { type: 'queued' }
  }
  return { type: 'granted', holder: draft.grant(command, number), repeated: false }
}

function renew(draft: Draft, command: Renew, holder: Holder): Result {
  const row = draft.session(holder.session)
  if (!row) return 'ended'
  // The first lease of its own that a plain hold gets is no shorter than the session's lease that it leaned on.
  const lease = command.lease || holder.lease ? Math.max(command.lease ?? 0, holder.lease ?? row.lease) : undefined
  // Grants start at -1. A hold never has the same value twice, so that evidence from its unconfirmed time never becomes valid again.
  const seq = lease === undefined ? undefined : (holder.seq ?? -1) - 1
  const expiresAt = Math.max(holder.expiresAt, draft.now + (lease ?? row.lease))
  // If the hold leans on its session before and after, the session's counter shows the renewal.
  if (holder.seq === undefined && seq === undefined) draft.putSession({ ...row, seq: row.seq + 1, expiresAt })
  const renewed: Holder = { ...holder, lease, seq, expiresAt, unconfirmed: undefined }
  draft.replace(holder, renewed)
  return { type: 'renewed', holder: renewed }
}

function withdraw(draft: Draft, session: string, number: number): Result {
  const held = draft.holders.find((holder) => holder.session === session && holder.number === number)
  const run = draft.queue.find((entry) => contains(entry, session, number))
  if (held) draft.remove(held)
  else if (run) {
    draft.leave(run, number)
    draft.queue = draft.queue.flatMap((entry) => (entry === run ? without(entry, number) : [entry]))
  } else return 'not-held'
  return done
}

function expireHolder(draft: Draft, { evidence }: Expire): Result {
  if ('number' in evidence) return 'not-held'
  const holder = draft.holders.find((held) => held.token === evidence.token)
  if (!holder) return 'not-held'
  if ((holder.seq ?? draft.session(holder.session)?.seq) !== evidence.seq) return 'live'
  if (draft.pins.length) return 'pinned'
  draft.evict([holder], 'expired')
  const { unconfirmed } = holder
  if (unconfirmed && unconfirmed.lapses < maxLapses) draft.enqueue(holder, holder.number, { ...unconfirmed, lapses: unconfirmed.lapses + 1 })
  return done
}

function expireWaiter(draft: Draft, { session, number, seq }: WaiterEvidence): Result {
  const run = draft.queue.find((entry) => contains(entry, session, number))
  if (!run) return 'not-held'
  if (draft.session(session)?.seq !== seq) return 'live'
  draft.leave(run)
  draft.queue = draft.queue.filter((entry) => entry !== run)
  return done
}

function revoke(draft: Draft, session: string | undefined): Result {
  const taken = draft.holders.filter((holder) => session === undefined || holder.session === session)
  // Without any holder, the caller has what it wanted. A hold of another session is not the one that it meant.
  if (!taken.length && draft.holders.length) return 'not-owner'
  draft.evict(taken, 'revoked')
  return done
}

/** A run without one of its requests: nothing, one range or two. */
const without = (run: Run, number: number): Run[] =>
  [
    { ...run, to: number - 1 },
    { ...run, from: number + 1 },
  ].filter(({ from, to }) => from <= to)

/** What a command does to a session's row; `undefined` means no row, before and after. */
export function reduceSession(
  row: SessionRow | undefined,
  command: SessionCommand,
  { now }: Pick<Context, 'now'>,
): { readonly row: SessionRow | undefined; readonly outcome: Outcome } {
  const ended: Outcome = { type: 'ended' }
  switch (command.type) {
    case 'beat': {
      if (!row && !command.opens) return { row, outcome: ended }
      const { session: id, client, label, beacon } = command
      const lease = Math.max(command.lease, row?.lease ?? 0)
      const expiresAt = Math.floor(now) + lease
      const next: SessionRow = {
        id,
        client,
        label,
        beacon,
        lease,
        expiresAt,
        seq: (row?.seq ?? 0) + 1,
        evictions: row?.evictions ?? 0,
        asks: row?.asks ?? 0,
      }
      return { row: next, outcome: { type: 'beaten', session: row?.news ? { ...next, news: row.news } : next, stale: [] } }
    }
    case 'challenge':
      return row ? { row: { ...row, challenged: row.seq }, outcome: { type: 'challenged' } } : { row, outcome: ended }
    case 'end':
      return row && command.seq !== undefined && command.seq !== row.seq ? { row, outcome: { type: 'alive' } } : { row: undefined, outcome: ended }
  }
}
