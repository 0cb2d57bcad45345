// Schemas of requests, which are validated.

import { maxDuration, maxLimit, minDuration } from '../../protocol/index.ts'
import { z } from '../libraries.ts'
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
} from '../wire.ts'
import { bytes, count, id, json, key, label, lease, lockToken, maxJsonBytes, seq, shown, topic } from './fields.ts'

/** Most tokens that one grant may reserve. */
const maxReserve = 10_000
/** The longest wait of one request, in ms: below what proxies commonly allow. */
const maxWait = 55_000
/** Most topics of one event stream. */
const maxTopics = 1_000

const limit = z.number().int().min(1).max(maxLimit)

const grip = { key, session: id, token: count, lockToken: lockToken.optional() }

const command = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('request'),
    key,
    session: id,
    client: id,
    number: count,
    mode: z.enum(['exclusive', 'shared']),
    limit: limit.min(2).optional(),
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
      .regex(/^[\w-]{8,128}$/, 'the id of a request is 8 to 128 letters, digits, _ or -')
      .optional(),
    mode: z.enum(['exclusive', 'shared']).optional(),
    limit: limit.optional().openapi({ description: 'How many may hold the lock together. Default 1.' }),
    duration: duration.openapi({ description: 'In ms. Default 30,000.' }),
    wait: z.number().min(0).max(maxWait).optional().openapi({ description: 'In ms. Default 30,000; 0 takes no place in the queue.' }),
    label,
    metadata: json,
  })
  .refine(({ limit, mode }) => limit === undefined || mode !== 'shared', 'a shared lock has no limit')
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
  .refine((query) => query.session === undefined || query.key !== undefined, '`session` needs a `key`')

export const eventsQuery = z.strictObject({
  sender: id.optional(),
  topic: z.union([topic.transform((one) => [one]), z.array(topic).max(100)]).optional(),
})

/** @param need whether it is required */
export const clientKey = (need: boolean) => {
  const text = z
    .string()
    .openapi({ description: 'A secret that the client makes up, 16 to 128 letters, digits, _ or -: its sessions belong to whoever has it.' })
  return z.object({ [clientHeader]: need ? text : text.optional() })
}
