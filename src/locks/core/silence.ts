import { type Command, type Holder, type LockView, leaseOf, type Run, seqOf } from '../../protocol/index.ts'
import type { Observer } from './observer.ts'

/** How often waiters look at a holder during its lease, at least (T3 in docs/time.md). */
const looksPerLease = 8
/** A look counts for at most this many times the planned pause before it (T3). */
const lateness = 1.25
/** With more runs than this in a queue, each session gets more time to confirm a grant or to answer a challenge. */
const crowd = 16

/** The longest pause between looks that observe these holders, in ms. */
export const looksEvery = ({ holders, sessions }: LockView): number =>
  Math.min(...holders.map((holder) => leaseOf(holder, sessions) || Infinity)) / looksPerLease

/**
 * For how long a session that has to confirm a grant, or to answer a challenge, may be silent, in ms. When many sessions wait, each gets little of a
 * machine's time, and a grant that lapses only makes more work. So this time grows with the queue, up to the session's lease.
 */
export const patienceFor = (confirm: number, session: string, { queue, sessions }: LockView): number =>
  Math.max(confirm, Math.min((confirm * queue.length) / crowd, sessions.get(session)?.lease ?? 0))

/** How long a holder may be silent, in ms. */
export function patienceWith(holder: Holder, view: LockView): number {
  const lease = leaseOf(holder, view.sessions)
  return holder.unconfirmed ? patienceFor(lease, holder.session, view) : lease
}

/** What is in front of a session's first request: how many places, with the lock's present holder as one; how many runs; the run right in front. */
export interface Ahead {
  readonly places: number
  readonly runs: number
  readonly front: Run | undefined
}

export function aheadOf(id: string, { queue }: LockView): Ahead {
  let places = 1
  let runs = 0
  for (; runs < queue.length; runs++) {
    const { session, from, to } = queue[runs] as Run
    if (session === id) break
    places += to - from + 1
  }
  return { places, runs, front: queue[runs - 1] }
}

/** One look at the sessions in front of a session. */
export interface LookAhead {
  readonly view: LockView
  /** When the look went out, and when it came back, on the monotonic clock, in ms. */
  readonly sent: number
  readonly got: number
  /** The planned pause before the look, in ms; 0 if it was not planned. */
  readonly pause: number
  /** In ms. */
  readonly maxBackoff: number
}

/**
 * What a session does, after a look, about sessions in front of it that have been silent for too long: holders for their lease, the waiter right in
 * front if it does not answer a challenge, and the head of the queue if its session has ended.
 */
export function onSilence(observer: Observer, session: string, { view, sent, got, pause, maxBackoff }: LookAhead): Command[] {
  const { key } = view
  const meant = pause || looksEvery(view)
  // A record without holders does not say how often to look.
  const cap = lateness * (meant < Infinity ? meant : maxBackoff)
  const { runs, front } = aheadOf(session, view)
  const commands: Command[] = []
  const seen = new Set<string>()
  const silence = (who: string, mark: string): number => {
    seen.add(who)
    return observer.look(who, mark, sent, got, cap)
  }
  for (const holder of view.holders) {
    if (holder.session === session) continue
    const { token } = holder
    const seq = seqOf(holder, view.sessions)
    const silent = silence(`${token}`, `${seq}`)
    const ended = !view.sessions.has(holder.session)
    // Sessions further back act later, one after the other, in case those in front of them are gone too.
    const due = ended || silent >= patienceWith(holder, view) * (1 + runs / looksPerLease)
    if (due && !view.pins.length) commands.push({ type: 'expire', key, session, evidence: { token, seq } })
  }
  const [head] = view.queue
  // The run of an ended session stays in the queue until a command meets it, and shared holders may not send one for a long time.
  if (head && !view.sessions.has(head.session))
    commands.push({ type: 'expire', key, session, evidence: { session: head.session, number: head.from, seq: undefined } })
  const row = front && view.sessions.get(front.session)
  if (front && row && row.beacon === undefined && row.id !== session) {
    const { id, seq } = row
    const challenged = row.challenged === seq
    const silent = silence(id, `${seq} ${challenged}`)
    if (challenged && silent >= patienceFor(front.confirm, id, view))
      commands.push({ type: 'expire', key, session, evidence: { session: id, number: front.from, seq } })
    if (!challenged && silent >= row.lease) commands.push({ type: 'challenge', session: id })
  }
  observer.keep(seen)
  return commands
}
