import { expiryOf, type Holder, type LockView, leaseOf } from '../protocol/index.ts'
import type { HeldInfo, LocksSnapshot, PendingInfo } from './types.ts'

/** Which locks and sessions of the records are shown. */
interface Shown {
  /** The name that a lock is shown by; `undefined` leaves it out. */
  nameOf(key: string): string | undefined
  /** Whether a session is proved dead: its holds and requests are void. */
  isDead?(session: string): boolean
  /** Whether a hold is a lease that only lingers. */
  isIdle?(key: string, holder: Holder): boolean
}

/** The holders and waiters that records name, without sessions that have ended. */
export function snapshotOf(views: Iterable<LockView>, { nameOf, isDead = () => false, isIdle = () => false }: Shown): LocksSnapshot {
  const held: HeldInfo[] = []
  const pending: PendingInfo[] = []
  for (const { key, holders, queue, sessions } of views) {
    const name = nameOf(key)
    if (name === undefined) continue
    const label = (session: string): string | undefined => sessions.get(session)?.label
    const present = ({ session }: { readonly session: string }): boolean => sessions.has(session) && !isDead(session)
    for (const holder of holders.filter(present)) {
      if (isIdle(key, holder)) continue
      const { mode, limit, client: clientId, session, metadata, token, since } = holder
      const [expiresAt, lease] = [expiryOf(holder, sessions), leaseOf(holder, sessions)]
      held.push({ name, mode, limit, clientId, session, label: label(session), metadata, token, since, expiresAt, lease })
    }
    for (const { mode, limit, client: clientId, session, metadata, ask, from, to } of queue.filter(present)) {
      for (let number = from; number <= to; number++) pending.push({ name, mode, limit, clientId, session, label: label(session), metadata, ask })
    }
  }
  return { held, pending }
}
