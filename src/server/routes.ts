import { createRoute, z } from './libraries.ts'
import * as answered from './schemas/answered.ts'
import * as asked from './schemas/asked.ts'
import { key } from './schemas/fields.ts'

/* The routes, for the framework and for the description that is generated from them. */

const json = <T extends z.ZodType>(schema: T, description: string) => ({ content: { 'application/json': { schema } }, description })
const body = <T extends z.ZodType>(schema: T) => ({ content: { 'application/json': { schema } }, required: true as const })
const fault = (description: string) => json(answered.errorReply, description)

const faults = {
  400: fault('The request is not well-formed, or breaks a rule'),
  401: fault('No credential, or an unknown one'),
  403: fault('The credential, the Host or the Origin may not do this'),
  413: fault('The body is too long'),
  429: fault('Too many requests'),
  503: fault('The store failed'),
}

const own = asked.clientKey

const security = [{ bearer: [] }, {}]

/** @param most commands in one batch */
export const applyRoute = (most: number) =>
  createRoute({
    method: 'post',
    path: '/v1/apply',
    operationId: 'apply',
    summary: 'Carry out commands, in order',
    security,
    request: { headers: own(false), body: body(asked.applyBody(most)) },
    responses: { 200: json(answered.applyReply, 'One outcome for each command'), ...faults, 409: fault('The batch is void') },
  })

export const lockRoute = createRoute({
  method: 'get',
  path: '/v1/locks/{key}',
  operationId: 'readLock',
  summary: 'Who holds a lock, and who waits for it',
  security,
  request: { headers: own(false), params: z.object({ key: key }) },
  responses: { 200: json(answered.readReply, 'Its record, or null'), ...faults, 422: fault('The record is corrupt') },
})

export const locksRoute = createRoute({
  method: 'get',
  path: '/v1/locks',
  operationId: 'listLocks',
  summary: 'All locks, those whose keys start with a prefix, or the one with a key',
  description:
    'In pages of `limit` locks, each `after` the last key of the one before, while there are `more`. With `busy=true`, locks that are not held, waited for or pinned may be left out. With `key` and `session`, which may be repeated, only the rows of those of these sessions that the record of the key names; the first one is the session that looks.',
  security,
  request: { headers: own(false), query: asked.locksQuery },
  responses: { 200: json(answered.locksReply, 'The records in the order of their keys, the one of `key`, or rows of sessions'), ...faults },
})

export const eventsRoute = createRoute({
  method: 'get',
  path: '/v1/events',
  operationId: 'listen',
  summary: 'Hints, as server-sent events',
  description: 'Carries the topics named here and those that the sender names with its batches: its sessions are topics.',
  security,
  request: { headers: own(false), query: asked.eventsQuery },
  responses: { 200: { content: { 'text/event-stream': { schema: z.string() } }, description: 'Events named `open`, `hint` and `bye`' }, ...faults },
})

export const publishRoute = createRoute({
  method: 'post',
  path: '/v1/publish',
  operationId: 'publish',
  summary: 'Pass messages on to the subscribers of their topics',
  description: 'Of a message with a `key`, only the key is passed on, as a hint to look at it. Only the server sends hints of grants.',
  security,
  request: { headers: own(false), body: body(asked.publishBody) },
  responses: { 204: { description: 'They were passed on' }, ...faults },
})

export const verifyRoute = createRoute({
  method: 'post',
  path: '/v1/verify',
  operationId: 'verify',
  summary: 'Whether a lockToken belongs to a lock that is held now',
  security,
  request: { body: body(asked.verifyBody) },
  responses: { 200: json(answered.verifyReply, 'Who holds the lock, or why the token is refused'), ...faults },
})

export const logRoute = createRoute({
  method: 'get',
  path: '/v1/log',
  operationId: 'readLog',
  summary: 'What happened to the locks, newest first',
  security,
  request: { query: asked.logQuery },
  responses: { 200: json(answered.logReply, 'The entries'), ...faults },
})

export const acquireRoute = createRoute({
  method: 'post',
  path: '/v1/acquire',
  operationId: 'acquire',
  summary: 'Wait for a lock',
  description:
    'Answers when the lock is granted, or after `wait` ms with the `request` to ask for again: it keeps its place in the queue. A client that disconnects before it is answered gives up its place, or its lock.',
  security,
  request: { headers: own(true), body: body(asked.acquireBody) },
  responses: {
    200: json(answered.acquireReply, 'The lock is held, from now on for `duration` ms: renew it well before that has passed'),
    202: json(answered.queuedReply, 'Other holders or waiters are ahead of it: send the same `key` and `request` again at once'),
    ...faults,
    409: fault('`held`: the lock is held, and `wait` is 0. `over`: this request is over'),
  },
})

export const renewRoute = createRoute({
  method: 'post',
  path: '/v1/renew',
  operationId: 'renew',
  summary: 'Keep a lock for longer',
  security,
  request: { headers: own(true), body: body(asked.renewBody) },
  responses: { 200: json(answered.renewReply, 'The lock is held for `duration` ms from when this was sent'), ...faults, 409: fault('It is lost') },
})

export const releaseRoute = createRoute({
  method: 'post',
  path: '/v1/release',
  operationId: 'release',
  summary: 'Release a lock',
  security,
  request: { headers: own(true), body: body(asked.releaseBody) },
  responses: { 200: json(answered.releaseReply, 'It was released, or was lost before'), ...faults },
})

const status = z.object({ status: z.literal('ok') })

const probe = (path: string, operationId: string, summary: string) =>
  createRoute({ method: 'get', path, operationId, summary, security: [{}], responses: { 200: json(status, 'Yes') } })

export const healthRoute = probe('/healthz', 'health', 'Whether the server answers: the same as /livez')
export const liveRoute = probe('/livez', 'live', 'Whether the server answers')

export const readyRoute = createRoute({
  method: 'get',
  path: '/readyz',
  operationId: 'ready',
  summary: 'Whether the server can do its work: touches the store',
  security: [{}],
  responses: { 200: json(status, 'It can'), 503: fault('It cannot, and why') },
})

export const versionRoute = createRoute({
  method: 'get',
  path: '/version',
  operationId: 'version',
  summary: 'Which version of storelock this is',
  security: [{}],
  responses: { 200: json(z.object({ version: z.string() }), 'The version of the package') },
})

export const metricsRoute = createRoute({
  method: 'get',
  path: '/metrics',
  operationId: 'metrics',
  summary: 'Metrics for Prometheus, for clients that are admin',
  security,
  responses: { 200: { content: { 'text/plain': { schema: z.string() } }, description: 'The metrics' }, 401: faults[401], 403: faults[403] },
})
