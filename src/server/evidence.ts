import { systemClock } from '../locks/clock.ts'
import type { Observer } from '../locks/core/observer.ts'
import { patienceFor, patienceWith } from '../locks/core/silence.ts'
import { type Expire, type LockView, seqOf } from '../protocol/index.ts'

/**
 * What a look at a record shows about holders and waiters that are silent or gone.
 * @param observer what earlier looks at the same record have shown
 * @param sent when the look went out, on the monotonic clock, in ms
 * @param cap the most that the time since the last look may count, in ms
 * @returns evidence against the holders and waiters that may be evicted, and the waiters that have to be challenged
 */
export function evidenceIn(
  observer: Observer,
  view: LockView,
  sent: number,
  cap: number,
): { readonly evidence: Expire['evidence'][]; readonly challenges: readonly string[] } {
  const got = systemClock.monotonic()
  const seen = new Set<string>()
  const silence = (who: string, mark: string): number => {
    seen.add(who)
    return observer.look(who, mark, sent, got, cap)
  }
  const evidence: Expire['evidence'][] = []
  const challenges: string[] = []
  for (const holder of view.holders) {
    const { token } = holder
    const seq = seqOf(holder, view.sessions)
    const silent = silence(`${token}`, `${seq}`)
    if (!view.sessions.has(holder.session) || silent >= patienceWith(holder, view)) evidence.push({ token, seq })
  }
  for (const { session, from, confirm } of view.queue) {
    const row = view.sessions.get(session)
    if (!row) {
      evidence.push({ session, number: from, seq: undefined })
      continue
    }
    // A waiter with a beacon never writes while it waits, and other sessions watch its beacon.
    if (row.beacon !== undefined || seen.has(session)) continue
    const challenged = row.challenged === row.seq
    const silent = silence(session, `${row.seq} ${challenged}`)
    if (challenged && silent >= patienceFor(confirm, session, view)) evidence.push({ session, number: from, seq: row.seq })
    if (!challenged && silent >= row.lease) challenges.push(session)
  }
  observer.keep(seen)
  return { evidence, challenges }
}
