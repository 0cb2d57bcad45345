import { statSync } from 'node:fs'
import { LockError } from '../protocol/index.ts'
import type { Store } from '../store.ts'
import type { Beside } from '../stores/postgres/beside.ts'
import type { SqliteDatabase } from '../stores/sqlite/driver.ts'
import { Access, type Caller } from './access.ts'
import { Acquires } from './acquire.ts'
import { type Fault, faultOf, responseOf } from './answers.ts'
import { makeApp } from './app.ts'
import { atMost } from './at-most.ts'
import { makeBatches } from './batches.ts'
import { Budgets, whoOf } from './budgets.ts'
import type { ClientCertificate } from './certificates.ts'
import { Claims } from './claims.ts'
import { Desk } from './desk.ts'
import { expressLine } from './express.ts'
import { makeComparing, makeForgetting } from './forgetting.ts'
import { type Asked, makeGuard, preflight } from './guard.ts'
import type { LockHandler } from './handler.ts'
import { Hub } from './hub.ts'
import { memoryJournal } from './journal/memory.ts'
import { postgresJournal } from './journal/postgres.ts'
import { sqliteJournal } from './journal/sqlite.ts'
import { Log } from './log.ts'
import { makeMetrics } from './metrics.ts'
import { Openings } from './openings.ts'
import { type HandlerOptions, type Limits, limitsOf } from './options.ts'
import { Owners } from './owners.ts'
import { pagesOf } from './pages.ts'
import { makeReport } from './report.ts'
import { makeRequests } from './requests.ts'
import { watchRings } from './rings.ts'
import { findKeys, keysOf } from './secret.ts'
import { Switchboard } from './switchboard.ts'
import { KeyRing } from './tokens.ts'
import { Turns } from './turns.ts'
import { lengthOf, makeVisits } from './visits.ts'
import { watchStore } from './watched.ts'

/** How often the log is trimmed, in ms. */
const trimEvery = 60_000
/** How often the server looks for sessions to forget, in ms. */
const forgetEvery = 300_000
const day = 86_400_000

interface From {
  readonly address?: string | undefined
  readonly certificate?: ClientCertificate | undefined
  /** Registers a function that is called when the answer has been sent, or its connection is gone. */
  readonly ended?: (listener: () => void) => void
  /** Registers a function that is called if the connection is gone before the answer has been sent. Default: when the request's signal aborts. */
  readonly cut?: (listener: () => void) => void
}

/** What is known about a request besides its contents. */
interface Way {
  readonly path: string
  readonly ended: From['ended']
  readonly onCut: (listener: () => void) => void
}

type Listener = Parameters<typeof expressLine>[1]

/**
 * Puts a server's parts together: a handler, and a faster path for a socket of our own.
 * @throws LockError `invalid` if an option is wrong, `store` if the server's own data cannot be stored
 */
export async function openEngine(
  given: Store,
  options: HandlerOptions,
): Promise<
  Omit<LockHandler, 'fetch'> & {
    fetch(request: Request, from?: From): Promise<Response>
    express(otherwise: Listener): Listener
    dropped(): void
    crowded(): Fault
    limited(limit: keyof Limits): void
  }
> {
  const report = makeReport(options.report)
  const tellError = (error: unknown): void => report.tell('error', 'fault', { message: String((error as Error | undefined)?.message ?? error) })
  const { onError = options.report ? tellError : console.error, grace = 10_000 } = options
  const limits = limitsOf(options.limits)
  const access = new Access(options.clients)
  const metrics = makeMetrics({
    streams: () => switchboard.size,
    pending: () => busy.size,
    waiters: () => claims.waiting,
    holders: () => claims.held,
    sessions: () => claims.sessions,
    observed: () => desk.overseer.size,
    logEntries: () => journal.size(),
    databaseBytes: (part) => sizeOf(file && (part === 'main' ? file : `${file}-${part}`)),
  })
  const store = watchStore(given, { failed: (code) => metrics.storeErrors.inc({ code }), saw: (view) => openings.saw(view) })
  const { file, connect, beside } = given as Store & { readonly file?: string; connect?(): SqliteDatabase; readonly beside?: Beside }
  const ring = new KeyRing(findKeys(options.secret, file ?? '', beside?.title()))
  const journal = beside ? await postgresJournal(beside) : file && connect ? await sqliteJournal(connect()) : memoryJournal()
  const rings = await watchRings(journal, ring, onError)
  const owners = new Owners(journal)
  const openings = new Openings(store, owners)
  const { age = 30 * day, entries = 1_000_000, refusals = 10_000, required = true } = options.log ?? {}
  const log = new Log(journal, { age, entries, refusals, required }, onError)
  try {
    for await (const views of pagesOf(store, '', undefined, { busy: true })) await log.catchUp(views)
  } catch (error) {
    // A damaged record must not prevent a start: requests for its key report it.
    if (!(error instanceof LockError && error.code === 'corrupt')) throw error
    onError(error)
  }
  const limited = (limit: keyof Limits): void => metrics.limited.inc({ limit })
  const budgets = new Budgets(limits, limited)
  const claims = new Claims(budgets)
  const turns = new Turns()
  const hub = new Hub(store.channel, given.spansMachines === true, owners, ring, budgets)
  const records = { sessionsAmong: (topics: readonly string[]) => openings.sessionsAmong(topics), read: (key: string) => store.read(key) }
  const switchboard = new Switchboard(hub, limits, budgets, records, limited, (session) => desk.overseer.lookAfter(session))
  const desk: Desk = new Desk({ store, ring, owners, openings, hub, log, metrics, claims, turns, limits, options })
  const guard = makeGuard(
    access,
    options,
    limits,
    (kind, why, address) => {
      metrics.refusals.inc({ kind })
      log.refuse({}, why, { ...access.nobody(address) })
    },
    limited,
  )
  const batches = makeBatches(desk, switchboard, turns, limits)
  const acquires = new Acquires(desk, owners, switchboard, journal, onError)
  const { inspector = true } = options
  const app = makeApp({ store, desk, batches, acquires, switchboard, log, journal, metrics, turns, limits, inspector }, onError)
  const visits = makeVisits(budgets, limits)
  const requests = makeRequests(metrics, report)
  const busy = new Set<Promise<unknown>>()
  let closed: Promise<readonly string[]> | undefined

  const forgetting = makeForgetting({ store, journal, openings }, (session) => {
    owners.forget(session)
    desk.forget(session)
  })
  const comparing = makeComparing({ store, claims }, (session) => {
    owners.forget(session)
    desk.forget(session)
  })
  const forgetSome = async (): Promise<void> => {
    await forgetting()
    if (given.spansMachines) await comparing()
  }
  const trimming = setInterval(() => log.trim().catch(onError), trimEvery)
  const forgettingSome = setInterval(() => forgetSome().catch(onError), forgetEvery)
  trimming.unref()
  forgettingSome.unref()

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

  const serve = async (request: Request, { address, certificate, ended, cut }: From): Promise<Response> => {
    const { headers, method } = request
    const url = new URL(request.url)
    const { pathname: path } = url
    const asked = { method, path, host: headers.get('host') ?? url.host, address, certificate, header: (name: string) => headers.get(name) }
    const { admitted, shared } = admit(asked)
    const end = requests(asked, admitted)
    const onCut = cut ?? ((listener) => request.signal.addEventListener('abort', listener))
    const response = await visited(request, admitted, { path, ended, onCut })
    end(response.status)
    for (const [name, value] of Object.entries(shared)) response.headers.append(name, value)
    return response
  }

  /** Answers a request within its caller's budget, which it uses until the answer has been sent. */
  const visited = async (request: Request, admitted: Caller | Fault, { path, ended, onCut }: Way): Promise<Response> => {
    const visit = 'status' in admitted ? admitted : visits(admitted)
    if ('status' in visit) return responseOf(visit)
    try {
      const body = request.method === 'POST' ? lengthOf(request.headers.get('content-length'), limits) : 0
      // Until a list is made, it counts as the longest possible.
      const ahead = request.method === 'GET' && isList(path, new URL(request.url)) ? limits.answer : 0
      const fault = visit.carry(body + ahead)
      if (fault) {
        visit.end()
        return responseOf(fault)
      }
      const response = await respond(request, admitted, onCut)
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

  const respond = async (request: Request, admitted: Caller | Fault, onCut: Way['onCut']): Promise<Response> => {
    if ('status' in admitted) return responseOf(admitted)
    if (request.method === 'OPTIONS') return new Response(null, { status: 204, headers: preflight })
    return await turns.run(whoOf(admitted), async () => await app.fetch(request, { caller: admitted, onCut }))
  }

  return {
    fetch: (request, from = {}) => during(serve(request, from)),
    express: (otherwise) => expressLine({ admit, batches, limits, visits, onError, during, requests, turns, limited }, otherwise),
    limited,
    dropped: () => metrics.dropped.inc(),
    crowded() {
      limited('pipelined')
      return faultOf(
        429,
        'too-many',
        `more than ${limits.pipelined} requests of one connection that are not answered: wait, or have the limit \`pipelined\` raised`,
      )
    },
    verify: (key, lockToken) => desk.verify(key, lockToken),
    reload({ clients, secret }) {
      // Either everything is valid, or nothing is changed.
      const keys = secret === undefined ? undefined : keysOf(secret)
      if (clients) access.replace(clients)
      if (keys) ring.replace(keys)
      if (keys) rings.look().catch(onError)
      switchboard.dropFallen()
    },
    close() {
      closed ??= (async () => {
        clearInterval(trimming)
        clearInterval(forgettingSome)
        switchboard.close()
        acquires.close()
        desk.overseer.close()
        const end = performance.now() + grace
        const gaveUp: string[] = []
        if (!(await atMost(grace, Promise.allSettled(busy)))) gaveUp.push(`${counted(busy.size, 'request')} not answered`)
        await atMost(end - performance.now(), log.written())
        if (log.unwritten) gaveUp.push(`${counted(log.unwritten, 'entry', 'entries')} of the log not written`)
        log.close()
        await rings.close()
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

const sizeOf = (path: string | undefined): number => (path && statSync(path, { throwIfNoEntry: false })?.size) || 0
