import type { Store } from '../store.ts'
import type { Caller } from './access.ts'
import type { Acquires } from './acquire.ts'
import { answer, bodyTooLong, brokenOff, type Fault, faultOfError, malformed, mayOnlyRead, responseOf } from './answers.ts'
import { whoOf } from './budgets.ts'
import { isTooDeep, tooDeep } from './depth.ts'
import type { Desk } from './desk.ts'
import { answerInspector, inspectorPaths } from './inspector.ts'
import type { Journal } from './journal.ts'
import { bodyLimit, HTTPException, OpenAPIHono } from './libraries.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import type { Limits } from './options.ts'
import { listText, tooLong } from './pages.ts'
import { makeReadiness } from './probes.ts'
import * as routes from './routes.ts'
import { Single } from './single.ts'
import type { Switchboard } from './switchboard.ts'
import type { Turns } from './turns.ts'
import { version } from './version.ts'
import type { LogReply, ReadReply, RowsReply, VerifyReply } from './wire.ts'

interface Env {
  Bindings: { readonly caller: Caller; onCut(listener: () => void): void }
}

interface Parts {
  readonly store: Store
  readonly desk: Desk
  readonly acquires: Acquires
  readonly switchboard: Switchboard
  readonly log: Log
  readonly journal: Journal
  readonly metrics: Metrics
  readonly turns: Turns
  readonly limits: Limits
  readonly inspector: boolean
}

/** Answers have the types of `wire.ts`. The framework expects the types of the schemas, which only describe the answers. */
const send = <T extends object>(reply: T, status = 200): never => sendText(JSON.stringify(reply), status)

const sendText = (text: string, status = 200): never =>
  new Response(text, { status, headers: { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) } }) as never

const refuse = (...answered: Parameters<typeof answer>): never => answer(...answered) as never

/** The server's routes, except the one for batches. The guard has admitted their requests. */
export function makeApp(
  { store, desk, acquires, switchboard, log, journal, metrics, turns, limits, inspector }: Parts,
  onError: (error: unknown) => void,
): OpenAPIHono<Env> {
  const app = new OpenAPIHono<Env>({
    defaultHook: (result) => (result.success ? undefined : responseOf(malformed(result.error))),
  })

  app.onError((error) => {
    if (error instanceof HTTPException) return answer(error.status, 'invalid', error.message)
    if ((error as { code?: unknown }).code === 'ECONNRESET') return responseOf(brokenOff)
    return responseOf(faultOfError(error, onError))
  })
  app.notFound(() => answer(404, 'not-found', 'there is nothing here: see /openapi.json'))
  const bodyIsTooLong = (): Response => {
    metrics.limited.inc({ limit: 'body' })
    return responseOf(bodyTooLong(limits))
  }
  app.use('/v1/*', bodyLimit({ maxSize: limits.body, onError: bodyIsTooLong }))
  app.use('/v1/*', async ({ req }, next) => (req.method === 'POST' && isTooDeep(await req.text()) ? answer(400, 'invalid', tooDeep) : await next()))

  // Only described here: batches bypass the framework.
  app.openAPIRegistry.registerPath(routes.applyRoute(limits.batch))

  const last = new Map<string, Promise<unknown>>()
  /** Makes a credential's lists and log queries one after another, since each may use all the time and memory that the credential is allowed. */
  const oneByOne = async <T>(caller: Caller, make: () => Promise<T>): Promise<T> => {
    const who = whoOf(caller)
    const made = (last.get(who) ?? Promise.resolve()).then(make)
    const over = made.catch(() => {})
    last.set(who, over)
    try {
      return await made
    } finally {
      if (last.get(who) === over) last.delete(who)
    }
  }

  const mayNot = ({ name }: Caller, key: string): never => refuse(403, 'forbidden', `the client ${name} may not see ${JSON.stringify(key)}`)

  const read = async (caller: Caller, key: string): Promise<never> => {
    if (!caller.mayUse(key)) return mayNot(caller, key)
    const text = JSON.stringify((await desk.read(caller, key)) satisfies ReadReply)
    const bytes = Buffer.byteLength(text)
    if (bytes <= limits.answer) return sendText(text)
    metrics.limited.inc({ limit: 'answer' })
    return responseOf(tooLong(key, bytes, limits.answer)) as never
  }

  app.openapi(routes.lockRoute, async (context) => await read(context.env.caller, context.req.valid('param').key))

  app.openapi(routes.locksRoute, async (context) => {
    const { caller } = context.env
    const { key, prefix = '', after, limit, busy, session } = context.req.valid('query')
    if (key !== undefined && session) return caller.mayUse(key) ? send<RowsReply>(await desk.rows(key, session)) : mayNot(caller, key)
    if (key !== undefined) return await read(caller, key)
    const listed = await oneByOne(caller, () => listText(store, turns, caller, { prefix, after, limit, busy: busy === 'true', most: limits.answer }))
    if ('text' in listed) return sendText(listed.text)
    metrics.limited.inc({ limit: 'answer' })
    return responseOf(listed.fault) as never
  })

  app.openapi(routes.eventsRoute, (context) => {
    const { sender, topic } = context.req.valid('query')
    return switchboard.connect(context.env.caller, sender, topic) as never
  })

  app.openapi(routes.publishRoute, async (context) => {
    const { caller } = context.env
    if (caller.readOnly) return responseOf(mayOnlyRead(caller)) as never
    await switchboard.publish(caller, context.req.valid('json').messages)
    return context.body(null, 204)
  })

  app.openapi(routes.verifyRoute, async (context) => {
    const { caller } = context.env
    const { key, lockToken } = context.req.valid('json')
    return caller.mayUse(key) ? send<VerifyReply>(await desk.verify(key, lockToken, caller)) : mayNot(caller, key)
  })

  app.openapi(routes.logRoute, async (context) => {
    const { caller } = context.env
    // Entries without a key may concern any client, so only an admin gets them.
    const entries = await oneByOne(caller, () => log.query(context.req.valid('query'), caller.admin ? undefined : caller.prefixes))
    return send<LogReply>({ entries })
  })

  const single = new Single(desk, store)
  const told = (reply: object | Fault, code = 200): never => ('status' in reply ? (responseOf(reply) as never) : send(reply, code))

  app.openapi(routes.acquireRoute, async (context) => {
    const { caller, onCut } = context.env
    const body = context.req.valid('json')
    if (caller.readOnly) return responseOf(mayOnlyRead(caller)) as never
    if (!caller.mayUse(body.key)) return mayNot(caller, body.key)
    const reply = await acquires.acquire(caller, body, onCut)
    return told(reply, 'granted' in reply && !reply.granted ? 202 : 200)
  })
  app.openapi(routes.renewRoute, async (context) => {
    const { caller } = context.env
    const body = context.req.valid('json')
    if (caller.readOnly) return responseOf(mayOnlyRead(caller)) as never
    return caller.mayUse(body.key) ? told(await single.renew(caller, body)) : mayNot(caller, body.key)
  })
  app.openapi(routes.releaseRoute, async (context) => {
    const { caller } = context.env
    const body = context.req.valid('json')
    if (caller.readOnly) return responseOf(mayOnlyRead(caller)) as never
    return caller.mayUse(body.key) ? told(await single.release(caller, body)) : mayNot(caller, body.key)
  })

  const readiness = makeReadiness(store, log, journal)
  for (const route of [routes.healthRoute, routes.liveRoute]) app.openapi(route, () => send({ status: 'ok' }))
  app.openapi(routes.versionRoute, () => send({ version }))
  app.openapi(routes.readyRoute, async () => {
    const why = await readiness()
    return why === undefined ? send({ status: 'ok' }) : refuse(503, 'store', why)
  })
  app.openapi(routes.metricsRoute, async (context) => {
    if (!context.env.caller.admin) return refuse(403, 'forbidden', 'the metrics need a client that is admin')
    return new Response(await metrics.text(), { headers: { 'content-type': metrics.registry.contentType } }) as never
  })
  if (inspector) for (const path of inspectorPaths) app.get(path, (context) => answerInspector(path, context.env.caller))
  app.openAPIRegistry.registerComponent('securitySchemes', 'bearer', { type: 'http', scheme: 'bearer' })
  app.doc31('/openapi.json', { openapi: '3.1.0', info: { title: 'storelock', version, description: 'Leased locks over HTTP.' } })
  return app
}
