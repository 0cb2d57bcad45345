// Schemas of answers: for the description only, answers are not validated.
import { z } from '../libraries.ts'
import { logKinds } from '../wire.ts'
import { count, id, json, key, label, lease, lockToken } from './fields.ts'

const session = z
  .object({ id, client: id, seq: count, lease, expiresAt: z.number(), label, evictions: count, asks: count, news: z.array(key).optional() })
  .openapi('Session')

const limit = count.openapi({ description: 'How many may hold the lock together, if that is more than one.' })

const holder = z
  .object({
    session: id,
    client: id,
    mode: z.enum(['exclusive', 'shared']),
    limit: limit.optional(),
    number: count,
    token: count.openapi({ description: 'The fencing token.' }),
    previous: count,
    since: z.number().optional().openapi({ description: 'Wall time of the grant in ms, for display only.' }),
    expiresAt: z.number().openapi({ description: 'Wall time in ms, for display only.' }),
    lease: lease.optional(),
    reserve: count.optional(),
    metadata: json,
  })
  .openapi('Holder')

const run = z
  .object({
    ...{ session: id, client: id, mode: z.enum(['exclusive', 'shared']), limit: limit.optional() },
    ...{ from: count, to: count, confirm: z.number(), lapses: count, ask: json },
  })
  .openapi('Run')

const view = z
  .object({
    key: z.string(),
    token: count,
    holders: z.array(holder),
    queue: z.array(run),
    pins: z.array(z.string()),
    changedAt: z.number().optional().openapi({ description: 'Wall time of the last change in ms, for display only.' }),
    evictions: z
      .array(z.object({ from: count, to: count, how: z.enum(['stolen', 'revoked', 'expired']) }))
      .optional()
      .openapi({ description: 'How the last holds were taken, by their tokens, newest first.' }),
    asked: z
      .array(run.extend({ token: count, label }).openapi('Asked'))
      .optional()
      .openapi({ description: 'Asks of requests that no longer wait, newest first. They concern holders up to their token.' }),
    sessions: z.record(z.string(), session),
  })
  .openapi('Lock')

/** How a lock can be lost. */
const losses = ['stolen', 'revoked', 'expired', 'ended'] as const

const ticket = z.object({ key: z.string(), session: id, token: count.optional(), number: count.optional(), lockToken }).openapi('LockToken')

const outcome = z
  .object({
    type: z.enum(['granted', 'queued', 'renewed', 'done', 'refused', 'beaten', 'challenged', 'ended', 'alive', 'failed']),
    reason: z.enum(['busy', 'not-held', 'not-owner', 'live', 'pinned', 'ended', 'limit']).optional(),
    holder: holder.optional(),
    record: view.optional(),
    grants: z.array(holder).optional(),
    evicted: z.array(holder).optional(),
    session: session.optional(),
    code: z.string().optional(),
    message: z.string().optional(),
    limit: z.string().optional().openapi({ description: 'The limit of the credential that was exceeded.' }),
  })
  .openapi('Outcome')

export const applyReply = z.object({ outcomes: z.array(outcome), lockTokens: z.array(ticket) }).openapi('Applied')
export const readReply = z.object({ lock: view.nullable(), lockTokens: z.array(ticket) }).openapi('Read')
const rowsReply = z.object({ sessions: z.record(z.string(), session) }).openapi('Rows')
export const locksReply = z.union([z.object({ locks: z.array(view), more: z.boolean() }), readReply, rowsReply])
export const verifyReply = z
  .object({
    valid: z.boolean(),
    holder: z.object({ session: id, client: id, label }).optional(),
    mode: z.enum(['exclusive', 'shared']).optional(),
    token: count.optional(),
    lastToken: count.optional(),
    why: z.enum(['forged', 'not-held']).optional(),
    reason: z.enum(losses).optional().openapi({ description: 'How it was lost, if that is known.' }),
  })
  .openapi('Verified')
export const logReply = z.object({
  entries: z.array(
    z
      .object({
        id: count,
        at: z.number(),
        kind: z.enum(logKinds),
        key: z.string(),
        session: id.optional(),
        token: count.optional(),
        who: z.string().optional(),
        address: z.string().optional(),
        why: z.string().optional(),
        omitted: count.optional(),
      })
      .openapi('LogEntry'),
  ),
})
export const acquireReply = z
  .object({
    granted: z.literal(true),
    key: z.string(),
    request: z.string(),
    token: count.openapi({ description: 'The fencing token.' }),
    previous: count,
    lockToken,
    duration: z.number(),
  })
  .openapi('Acquired')
export const queuedReply = z.object({ granted: z.literal(false), key: z.string(), request: z.string(), ahead: count }).openapi('Queued')
export const renewReply = z.object({ renewed: z.literal(true), key: z.string(), token: count, duration: z.number() }).openapi('Renewed')
export const releaseReply = z.object({ released: z.boolean(), key: z.string() }).openapi('Released')
export const errorReply = z.object({ error: z.object({ code: z.string(), message: z.string() }) }).openapi('Error')
