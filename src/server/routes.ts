import { createRoute, z } from '@hono/zod-openapi'
import * as schemas from './schemas.ts'

/* The routes, for the framework and for the description that is generated from them. */

const json = <T extends z.ZodType>(schema: T, description: string) => ({ content: { 'application/json': { schema } }, description })
const body = <T extends z.ZodType>(schema: T) => ({ content: { 'application/json': { schema } }, required: true as const })
const fault = (description: string) => json(schemas.errorReply, description)

const faults = {
  400: fault('The request is not well-formed, or breaks a rule'),
  401: fault('No credential, or one that is not known'),
  403: fault('The credential, the Host or the Origin may not do this'),
  413: fault('The body is too long'),
  429: fault('Too many requests'),
  503: fault('The store failed'),
}

const security = [{ bearer: [] }, {}]

/** @param most commands in one batch */
export const applyRoute = (most: number) =>
  createRoute({
    method: 'post',
    path: '/v1/apply',
    summary: 'Carry out commands, in order',
    security,
    request: { body: body(schemas.applyBody(most)) },
    responses: { 200: json(schemas.applyReply, 'One outcome for each command'), ...faults, 409: fault('The batch is void') },
  })

export const lockRoute = createRoute({
  method: 'get',
  path: '/v1/locks/{key}',
  summary: 'Who holds a lock, and who waits for it',
  security,
  request: { params: z.object({ key: schemas.key }) },
  responses: { 200: json(schemas.readReply, 'Its record, or null'), ...faults, 422: fault('The record is corrupt') },
})

export const locksRoute = createRoute({
  method: 'get',
  path: '/v1/locks',
  summary: 'All locks, those whose keys start with a prefix, or the one of any key',
  description:
    'In pages of `limit` locks, each `after` the last key of the one before, while there are `more`. With `busy=true`, those that nobody holds, wants or pins may be left out.',
  security,
  request: { query: schemas.locksQuery },
  responses: { 200: json(schemas.locksReply, 'The records in the order of their keys, or the one of `key`'), ...faults },
})

export const eventsRoute = createRoute({
  method: 'get',
  path: '/v1/events',
  summary: 'Hints, as server-sent events',
  description: 'Carries the topics named here and those that the sender names with its batches: its sessions are topics.',
  security,
  request: { query: schemas.eventsQuery },
  responses: { 200: { content: { 'text/event-stream': { schema: z.string() } }, description: 'Events named `open`, `hint` and `bye`' }, ...faults },
})

export const publishRoute = createRoute({
  method: 'post',
  path: '/v1/publish',
  summary: 'Pass messages on to whoever listens to their topics',
  description: 'Of a message that names a `key` only that is passed on: it says look, and the server itself says who was granted what.',
  security,
  request: { body: body(schemas.publishBody) },
  responses: { 204: { description: 'They were passed on' }, ...faults },
})

export const verifyRoute = createRoute({
  method: 'post',
  path: '/v1/verify',
  summary: 'Whether a lockToken is that of a hold which stands',
  security,
  request: { body: body(schemas.verifyBody) },
  responses: { 200: json(schemas.verifyReply, 'Who holds the lock, or why the token is refused'), ...faults },
})

export const logRoute = createRoute({
  method: 'get',
  path: '/v1/log',
  summary: 'What happened to the locks, the newest first',
  security,
  request: { query: schemas.logQuery },
  responses: { 200: json(schemas.logReply, 'The entries'), ...faults },
})
