import { statSync } from 'node:fs'
import { LockError } from '../protocol/index.ts'
import type { Store } from '../store.ts'
import type { Beside } from '../stores/postgres/beside.ts'
import type { SqliteDatabase } from '../stores/sqlite/driver.ts'
import { Access, type Caller } from './access.ts'
import { Acquires } from './acquire.ts'
import { type Fault, faultOf, responseOfSaid, type Said } from './answers.ts'
import { makeApp } from './app.ts'
import { atMost } from './at-most.ts'
import { applyPath, makeBatchRoute } from './batch-route.ts'
import { makeBatches } from './batches.ts'
import { Budgets, whoOf } from './budgets.ts'
import { Claims } from './claims.ts'
import { Desk } from './desk.ts'
import { directly, type Listener } from './direct.ts'
import { makeComparing, makeForgetting } from './forgetting.ts'
import { type From, incomingOf } from './from-request.ts'
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
import { type Incoming, makePipeline } from './pipeline.ts'
import { makeReport } from './report.ts'
import { makeRequests } from './requests.ts'
import { watchRings } from './rings.ts'
import { findKeys, keysOf } from './secret.ts'
import { Switchboard } from './switchboard.ts'
import { KeyRing } from './tokens.ts'
import { Turns } from './turns.ts'
import { makeVisits } from './visits.ts'
import { watchStore } from './watched.ts'

/** How often the log is trimmed, in ms. */
const trimEvery = 60_000
/** How often the server looks for sessions to forget, in ms. */
const forgetEvery = 300_000
const day = 86_400_000

/**
 * Assembles a server: a handler, and a faster path for a server that listens itself.
 * @throws LockError `invalid` if an option is wrong, `store` if the server's own data cannot be stored
 */
export async function openEngine(
  given: Store,
  options: HandlerOptions,
): Promise<
  Omit<LockHandler, 'fetch'> & {
    fetch(request: Request, from?: From): Promise<Response>
    /** A listener for Node's HTTP server. It answers batches and leaves all other requests to another listener. */
    listener(otherwise: Listener): Listener
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
  const app = makeApp({ store, desk, acquires, switchboard, log, journal, metrics, turns, limits, inspector }, onError)
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

  const admit = (asked: Asked): Caller | Fault =>
    closed ? faultOf(503, 'closed', 'the server is shutting down', { connection: 'close' }) : guard.admit(asked)

  const pipeline = makePipeline({ admit, shared: guard.shared, requests, visits, limits })
  const batch = makeBatchRoute({ batches, limits, turns, onError, limited })

  const during = async <T>(work: Promise<T>): Promise<T> => {
    busy.add(work)
    try {
      return await work
    } finally {
      busy.delete(work)
    }
  }

  const answerBatch = (incoming: Incoming): Promise<Said> => during(pipeline(incoming, (caller) => batch(caller, incoming)))

  const answer = (request: Request, from: From): Promise<Said | Response> => {
    const incoming = incomingOf(request, from)
    const { method, path } = incoming.asked
    if (method === 'POST' && path === applyPath) return answerBatch(incoming)
    const onCut = from.cut ?? ((listener) => request.signal.addEventListener('abort', listener))
    return during(
      pipeline(incoming, async (caller) => {
        if (method === 'OPTIONS') return new Response(null, { status: 204, headers: preflight })
        return await turns.run(whoOf(caller), async () => await app.fetch(request, { caller, onCut }))
      }),
    )
  }

  return {
    fetch: async (request, from = {}) => responseOfSaid(await answer(request, from)),
    listener: (otherwise) => directly(answerBatch, otherwise),
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
      // Check both first: if one is invalid, nothing changes.
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

const sizeOf = (path: string | undefined): number => (path && statSync(path, { throwIfNoEntry: false })?.size) || 0
