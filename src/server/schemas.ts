import { z } from '@hono/zod-openapi'
import { maxDuration, minDuration } from '../protocol/index.ts'
import {
  type AcquireBody,
  type ApplyBody,
  clientHeader,
  logKinds,
  type PublishBody,
  type ReleaseBody,
  type RenewBody,
  type VerifyBody,
  type WireCommand,
} from './wire.ts'

/** Longest key, in bytes of UTF-8: a name and a namespace, escaped, fit into it. */
const maxKeyBytes = 4_200
/** Longest metadata or ask, as JSON in UTF-8. */
const maxJsonBytes = 16_384
/** How deep metadata and asks may be nested. */
const maxDepth = 64
/** Most tokens that one grant may reserve. */
const maxReserve = 10_000
/** The longest wait of one request, in ms: below what proxies commonly allow. */
const maxWait = 55_000
/** Most topics that one event stream may carry. */
const maxTopics = 1_000

const isShallow = (value: unknown, deep: number): boolean =>
  typeof value !== 'object' || value === null || (deep > 0 && Object.values(value).every((part) => isShallow(part, deep - 1)))

const bytes = (text: string): number => Buffer.byteLength(text)

export const key = z
  .string()
  .refine((text) => !/[\0\p{Surrogate}]/u.test(text) && bytes(text) <= maxKeyBytes, `a key is well-formed, of up to ${maxKeyBytes} bytes`)
/** What people are shown: nothing in it moves a terminal's cursor, or hides what comes next. */
const shown = (most: number) =>
  z
    .string()
    .max(most)
    .refine((text) => !/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u.test(text), 'no control characters')
const id = shown(128).min(1)
const label = shown(256).optional()
const count = z.int().min(0)
const lease = z
  .number()
  .positive()
  .max((maxDuration * 4) / 3)
const json = z
  .any()
  .refine(
    (value) => isShallow(value, maxDepth) && bytes(JSON.stringify(value) ?? '') <= maxJsonBytes,
    `up to ${maxJsonBytes} bytes as JSON, nested up to ${maxDepth} deep`,
  )
  .optional()
  .openapi({ description: 'Any JSON.' })
const lockToken = z.string().min(1).max(1_024)
const topic = z.string().min(1).max(maxKeyBytes)

const grip = { key, session: id, token: count, lockToken: lockToken.optional() }
const seq = z.int().optional()

const command = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('request'),
    key,
    session: id,
    client: id,
    number: count,
    mode: z.enum(['exclusive', 'shared']),
    confirm: lease,
    lease: lease.optional(),
    metadata: json,
    ifAvailable: z.boolean().optional(),
    ifNoQueue: z.boolean().optional(),
    steal: z.boolean().optional(),
    reserve: count.max(maxReserve).optional(),
    ask: json,
  }),
  z.strictObject({ type: z.literal('renew'), ...grip, lease: lease.optional() }),
  z.strictObject({ type: z.literal('release'), ...grip }),
  z.strictObject({ type: z.literal('withdraw'), key, session: id, number: count, lockToken: lockToken.optional() }),
  z.strictObject({
    type: z.literal('expire'),
    key,
    session: id.optional(),
    evidence: z.union([z.strictObject({ token: count, seq }), z.strictObject({ session: id, number: count, seq })]),
  }),
  z.strictObject({ type: z.literal('revoke'), key, session: id.optional() }),
  z.strictObject({ type: z.enum(['pin', 'unpin']), key, entity: shown(256).min(1) }),
  z.strictObject({ type: z.literal('sweep'), key }),
  z.strictObject({
    type: z.literal('beat'),
    session: id,
    client: id,
    lease,
    label,
    opens: z.boolean().optional(),
  }),
  z.strictObject({ type: z.literal('challenge'), session: id }),
  z.strictObject({ type: z.literal('end'), session: id, seq }),
]) satisfies z.ZodType<WireCommand>

/** @param most commands in one batch */
export const applyBody = (most: number) =>
  z
    .strictObject({
      commands: z.array(command).max(most),
      sender: id.optional(),
      batch: count.optional(),
      void: count.optional(),
      topics: z.array(topic).max(maxTopics).optional(),
    })
    .openapi('Apply') satisfies z.ZodType<ApplyBody>

const message = z
  .record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]))
  .refine((value) => bytes(JSON.stringify(value)) <= maxJsonBytes, `up to ${maxJsonBytes} bytes as JSON`)
  .refine((value) => !Object.hasOwn(value, 'key') || typeof value.key === 'string', 'the key of a message is a string')

export const publishBody = z
  .strictObject({ messages: z.array(z.strictObject({ topic, message })).max(100) })
  .openapi('Publish') satisfies z.ZodType<PublishBody>

export const verifyBody = z.strictObject({ key, lockToken }).openapi('Verify') satisfies z.ZodType<VerifyBody>

const duration = z.number().min(minDuration).max(maxDuration).optional()

export const acquireBody = z
  .strictObject({
    key,
    request: z
      .string()
      .regex(/^[\w-]{8,128}$/, 'the name of a request is 8 to 128 letters, digits, _ or -')
      .optional(),
    mode: z.enum(['exclusive', 'shared']).optional(),
    duration: duration.openapi({ description: 'In ms. Default 30,000.' }),
    wait: z.number().min(0).max(maxWait).optional().openapi({ description: 'In ms. Default 30,000; 0 takes no place in line.' }),
    label,
    metadata: json,
  })
  .openapi('Acquire') satisfies z.ZodType<AcquireBody>

export const renewBody = z.strictObject({ key, lockToken, duration }).openapi('Renew') satisfies z.ZodType<RenewBody>

export const releaseBody = z.strictObject({ key, lockToken }).openapi('Release') satisfies z.ZodType<ReleaseBody>

const whole = z.coerce.number().int().min(0)

export const logQuery = z.strictObject({
  key: key.optional(),
  prefix: key.optional(),
  kind: z.enum(logKinds).optional(),
  since: whole.optional(),
  until: whole.optional(),
  before: whole.optional(),
  limit: whole.min(1).max(1_000).default(100),
})

export const locksQuery = z
  .strictObject({
    key: key.optional(),
    prefix: key.optional(),
    after: key.optional(),
    limit: whole.min(1).max(1_000).default(1_000),
    busy: z.enum(['true', 'false']).optional(),
    session: z.union([id.transform((one) => [one]), z.array(id).max(100)]).optional(),
  })
  .refine((query) => query.key === undefined || query.prefix === undefined, 'a key or a prefix, not both')
  .refine((query) => query.session === undefined || query.key !== undefined, 'sessions are those of a key')

export const eventsQuery = z.strictObject({
  sender: id.optional(),
  topic: z.union([topic.transform((one) => [one]), z.array(topic).max(100)]).optional(),
})

/* What goes out is described, and not checked again. */

const session = z
  .object({ id, client: id, seq: count, lease, expiresAt: z.number(), label, evictions: count, asks: count, news: z.array(key).optional() })
  .openapi('Session')

const holder = z
  .object({
    session: id,
    client: id,
    mode: z.enum(['exclusive', 'shared']),
    number: count,
    token: count.openapi({ description: 'The fencing token.' }),
    previous: count,
    since: z.number().optional().openapi({ description: 'Wall time of the grant in ms, shown and never relied on.' }),
    expiresAt: z.number().openapi({ description: 'Wall time in ms, shown and never relied on.' }),
    lease: lease.optional(),
    reserve: count.optional(),
    metadata: json,
  })
  .openapi('Holder')

const run = z
  .object({ session: id, client: id, mode: z.enum(['exclusive', 'shared']), from: count, to: count, confirm: z.number(), lapses: count, ask: json })
  .openapi('Run')

const view = z
  .object({
    key: z.string(),
    token: count,
    holders: z.array(holder),
    queue: z.array(run),
    pins: z.array(z.string()),
    changedAt: z.number().optional().openapi({ description: 'Wall time of the last change in ms, shown and never relied on.' }),
    evictions: z
      .array(z.object({ from: count, to: count, how: z.enum(['stolen', 'revoked', 'expired']) }))
      .optional()
      .openapi({ description: 'How the last holds were taken, by their tokens, the newest first.' }),
    asked: z
      .array(run.extend({ token: count, label }).openapi('Asked'))
      .optional()
      .openapi({ description: 'What requests asked the holders that wait no more, the newest first. It concerns holders up to its token.' }),
    sessions: z.record(z.string(), session),
  })
  .openapi('Lock')

/** How a lock may be lost. */
const losses = ['stolen', 'revoked', 'expired', 'ended'] as const

const ticket = z.object({ key: z.string(), session: id, token: count.optional(), number: count.optional(), lockToken }).openapi('LockToken')

const outcome = z
  .object({
    type: z.enum(['granted', 'queued', 'renewed', 'done', 'refused', 'beaten', 'challenged', 'ended', 'alive', 'failed']),
    reason: z.enum(['busy', 'not-held', 'not-owner', 'live', 'pinned', 'ended']).optional(),
    holder: holder.optional(),
    record: view.optional(),
    grants: z.array(holder).optional(),
    evicted: z.array(holder).optional(),
    session: session.optional(),
    code: z.string().optional(),
    message: z.string().optional(),
    limit: z.string().optional().openapi({ description: 'The limit of the credential that was in the way.' }),
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
    reason: z.enum(losses).optional().openapi({ description: 'How it was lost, where that is known.' }),
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

/** @param need whether nothing can be done without one */
export const clientKey = (need: boolean) => {
  const text = z
    .string()
    .openapi({ description: 'A secret that the client makes up, 16 to 128 letters, digits, _ or -: its sessions belong to whoever has it.' })
  return z.object({ [clientHeader]: need ? text : text.optional() })
}
