import { evictionOf, lastTokenOf } from '../protocol/index.ts'
import type { Store } from '../store.ts'
import type { Caller } from './access.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import { type KeyRing, openLockToken } from './tokens.ts'
import type { VerifyReply } from './wire.ts'

interface Parts {
  readonly ring: KeyRing
  readonly store: Store
  readonly log: Log
  readonly metrics: Metrics
}

/** Whether a lockToken belongs to a lock that is held now, according to the store. */
export async function verify({ ring, store, log, metrics }: Parts, key: string, lockToken: string, caller?: Caller): Promise<VerifyReply> {
  const grip = openLockToken(ring, key, lockToken)
  if (grip?.token === undefined) {
    metrics.refusals.inc({ kind: 'lockToken' })
    log.refuse({ key }, 'verify: a forged lockToken', caller)
    return { valid: false, why: 'forged' }
  }
  const { session, token } = grip
  const view = await store.read(key)
  const holder = view?.holders.find((held) => held.token === token && held.session === session)
  const row = view?.sessions.get(session)
  if (!holder || !row) return { valid: false, why: 'not-held', reason: holder ? 'ended' : view && evictionOf(view, token) }
  return { valid: true, holder: { session, client: row.client, label: row.label }, mode: holder.mode, token, lastToken: lastTokenOf(holder) }
}
