import { LockError } from '../protocol/index.ts'
import type { Store } from '../store.ts'
import type { SqliteDatabase } from '../stores/sqlite/driver.ts'
import { Access, type Caller } from './access.ts'
import { type Fault, faultOf, responseOf } from './answers.ts'
import { makeApp } from './app.ts'
import { atMost } from './at-most.ts'
import { makeBatches } from './batches.ts'
import { Budgets } from './budgets.ts'
import { Claims } from './claims.ts'
import { Desk } from './desk.ts'
import { expressLine } from './express.ts'
import { type Asked, makeGuard, preflight } from './guard.ts'
import type { LockHandler } from './handler.ts'
import { Hub } from './hub.ts'
import { memoryJournal } from './journal/memory.ts'
import { sqliteJournal } from './journal/sqlite.ts'
import { Log } from './log.ts'
import { makeMetrics } from './metrics.ts'
import { type HandlerOptions, limitsOf } from './options.ts'
import { Owners } from './owners.ts'
import { pagesOf } from './pages.ts'
import { findSecret } from './secret.ts'
import { Switchboard } from './switchboard.ts'
import { lengthOf, makeVisits } from './visits.ts'

/** How often the log is trimmed and sessions that are long gone are forgotten, in ms. */
const tidyEvery = 60_000
/** How long a session has to show itself in the store after it became a client's, in ms. */
const bindingAge = 600_000
/** So many of them are looked at each time. */
const bindings = { rounds: 10, each: 100 }
const day = 86_400_000

interface From {
  readonly address?: string | undefined
  /** Has a function called when the answer has gone out, or its connection is gone. */
  readonly ended?: (listener: () => void) => void
}

type Listener = Parameters<typeof expressLine>[1]

/**
 * Puts a server's parts together: a handler, and the faster way to it for a socket of our own.
 * @throws LockError `invalid` if an option is wrong, `store` if what the server has to remember cannot be kept
 */
export async function openEngine(
  store: Store,
  options: HandlerOptions,
): Promise<
  Omit<LockHandler, 'fetch'> & { fetch(request: Request, from?: From): Promise<Response>; express(otherwise: Listener): Listener; dropped(): void }
> {
  const { onError = console.error, grace = 10_000 } = options
  const limits = limitsOf(options.limits)
  const access = new Access(options.clients)
  const { file, connect } = store as Store & { readonly file?: string; connect?(): SqliteDatabase }
  const secret = findSecret(options.secret, file ?? '')
  const journal = file && connect ? await sqliteJournal(connect()) : memoryJournal()
  const owners = new Owners(journal)
  const { age = 30 * day, entries = 1_000_000, refusals = 10_000, required = true } = options.log ?? {}
  const log = new Log(journal, { age, entries, refusals, required }, onError)
  try {
    for await (const views of pagesOf(store, '', undefined, { busy: true })) await log.catchUp(views)
  } catch (error) {
    // A damaged record must not keep a server from starting: whoever asks for its key is told.
    if (!(error instanceof LockError && error.code === 'corrupt')) throw error
    onError(error)
  }
  const budgets = new Budgets(limits, (limit) => metrics.limited.inc({ limit }))
  const claims = new Claims(budgets)
  const hub = new Hub(store.channel, owners, secret, budgets)
  const records = { sessionsAmong: (topics: readonly string[]) => desk.openings.sessionsAmong(topics), read: (key: string) => store.read(key) }
  const switchboard = new Switchboard(hub, limits, budgets, records, (session) => desk.overseer.lookAfter(session))
  const metrics = makeMetrics({
    streams: () => switchboard.size,
    pending: () => busy.size,
    waiters: () => claims.waiting,
    holders: () => claims.held,
    sessions: () => claims.sessions,
    observed: () => desk.overseer.size,
  })
  const desk: Desk = new Desk({ store, secret, owners, hub, log, metrics, claims, limits, options }, onError)
  const guard = makeGuard(access, options, limits, (why, address) => {
    metrics.refusals.inc()
    log.refuse({}, why, { ...access.nobody(address) })
  })
  const batches = makeBatches(desk, switchboard, limits)
  const app = makeApp({ store, desk, batches, switchboard, log, metrics, limits }, onError)
  const visits = makeVisits(budgets, limits)
  const busy = new Set<Promise<unknown>>()
  let closed: Promise<readonly string[]> | undefined

  let reached = ''
  /** Forgets whose those sessions were that have no row any more. Each time it goes on where it stopped: old ones that live are in no one's way. */
  const forgetGone = async (): Promise<void> => {
    for (let round = 0; round < bindings.rounds; round++) {
      const old = await journal.boundBefore(Date.now() - bindingAge, reached, bindings.each)
      reached = old.length < bindings.each ? '' : (old.at(-1) as string)
      if (!old.length) return
      const probes = await store.apply(old.map((session) => ({ type: 'end', session, seq: -1 })))
      const gone = old.filter((_, index) => probes[index]?.type === 'ended')
      await journal.unbind(gone)
      for (const session of gone) {
        owners.forget(session)
        desk.forget(session)
      }
      if (!reached) return
    }
  }

  const tidy = async (): Promise<void> => {
    await log.trim()
    await forgetGone()
  }
  const tidying = setInterval(() => tidy().catch(onError), tidyEvery)
  tidying.unref()

  const admit = (asked: Asked) => ({
    admitted: closed ? faultOf(503, 'closed', 'the server is shutting down', { connection: 'close' }) : guard.admit(asked),
    shared: guard.shared(asked),
  })

  const during = async <T>(work: Promise<T>): Promise<T> => {
    busy.add(work)
    try {
      return await work
    } finally {
      busy.delete(work)
    }
  }

  const serve = async (request: Request, { address, ended }: From): Promise<Response> => {
    const { headers, method } = request
    const url = new URL(request.url)
    const { pathname: path } = url
    const { admitted, shared } = admit({ method, path, host: headers.get('host') ?? url.host, address, header: (name) => headers.get(name) })
    const response = await visited(request, admitted, path, ended)
    for (const [name, value] of Object.entries(shared)) response.headers.append(name, value)
    return response
  }

  /** Answers a request within its caller's budget, as long as its answer is under way. */
  const visited = async (request: Request, admitted: Caller | Fault, path: string, ended: From['ended']): Promise<Response> => {
    const visit = 'status' in admitted ? admitted : visits(admitted)
    if ('status' in visit) return responseOf(visit)
    try {
      const body = request.method === 'POST' ? lengthOf(request.headers.get('content-length'), limits) : 0
      // A list counts as long as it may be before it is made.
      const ahead = request.method === 'GET' && isList(path, new URL(request.url)) ? limits.answer : 0
      const fault = visit.carry(body + ahead)
      if (fault) {
        visit.end()
        return responseOf(fault)
      }
      const response = await respond(request, admitted, path)
      const tooMuch = visit.carry(Math.max(0, Number(response.headers.get('content-length') ?? 0) - ahead))
      const isWhole = response.headers.has('content-length')
      if (ended && isWhole && !tooMuch) ended(visit.end)
      else visit.end()
      return tooMuch ? responseOf(tooMuch) : response
    } catch (error) {
      visit.end()
      throw error
    }
  }

  const respond = async (request: Request, admitted: ReturnType<typeof admit>['admitted'], path: string): Promise<Response> => {
    if ('status' in admitted) return responseOf(admitted)
    if (request.method === 'OPTIONS') return new Response(null, { status: 204, headers: preflight })
    const end = metrics.requests.startTimer()
    const response = await app.fetch(request, { caller: admitted })
    end({ route: routeOf(path), status: String(response.status) })
    return response
  }

  return {
    fetch: (request, from = {}) => during(serve(request, from)),
    express: (otherwise) => expressLine({ admit, batches, limits, visits, onError, during, metrics }, otherwise),
    dropped: () => metrics.dropped.inc(),
    verify: (key, lockToken) => desk.verify(key, lockToken),
    reload({ clients }) {
      if (clients) access.replace(clients)
      switchboard.dropFallen()
    },
    close() {
      closed ??= (async () => {
        clearInterval(tidying)
        switchboard.close()
        desk.overseer.close()
        const end = performance.now() + grace
        const gaveUp: string[] = []
        if (!(await atMost(grace, Promise.allSettled(busy)))) gaveUp.push(`${counted(busy.size, 'request')} not answered`)
        await atMost(end - performance.now(), log.written())
        if (log.unwritten) gaveUp.push(`${counted(log.unwritten, 'entry', 'entries')} of the log not written`)
        log.close()
        await journal.close()
        return gaveUp
      })()
      return closed
    },
  }
}

const counted = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`

/** Whether the answer may be as long as answers get. */
const isList = (path: string, { searchParams }: URL): boolean => path === '/v1/log' || (path === '/v1/locks' && !searchParams.has('key'))

/** The part of a path that says which route it is, not which key. */
const routeOf = (path: string): string =>
  /^\/(v1\/(apply|locks|events|publish|verify|log)|healthz|metrics|openapi\.json)(?![^/?])/.exec(path)?.[1] ?? 'none'
