import {
  type Command,
  decodeRecord,
  decodeSession,
  LockError,
  type LockView,
  type Outcome,
  rowsOf,
  runBatch,
  type SessionRow,
  storeError,
  viewOf,
} from '../protocol/index.ts'
import type { Part, Store } from '../store.ts'
import { howMany, type Job, jobsOf, pick } from './remote/jobs.ts'
import type { Noted, Notes } from './remote/notes.ts'
import { isStorable, Known, Memory, type Row, recordId, sessionId, type Write, writesOf } from './remote/rows.ts'

export type { Noted } from './remote/notes.ts'
export { floorId, type Row, recordId, sessionId, type Write } from './remote/rows.ts'

/** A database or service that answers asynchronously. Its methods reject with its own errors. */
export interface Engine<Version> {
  /** How many commands a batch may have, if the engine limits what it writes at once. One call of `apply` may have more; the engine's store splits it. */
  readonly largest?: number
  /** What errors call it, such as `the Postgres database app on db:5432`; without passwords. */
  readonly title: string
  /** Wall time in ms since 1970, best the engine's own. */
  now(): number
  /** Those of these rows that exist, all as they are at one moment. */
  fetch(ids: readonly string[]): Promise<ReadonlyMap<string, Row<Version>>>
  /**
   * Makes all these changes at one moment, durably, if at that moment each of the rows `seen` has the given version or, if that is `undefined`, is
   * missing. Every row to be written is among them; `undefined` means delete. It does not wait for others' transactions.
   * @param noted what to write with the changes, if the engine can, telling it so by `kept`
   * @returns the new version of the rows written; `undefined` if some row has changed or cannot be had now, and nothing was written
   */
  commit(seen: ReadonlyMap<string, Version | undefined>, writes: ReadonlyMap<string, Write | undefined>, noted?: Noted): Promise<Version | undefined>
  /** The keys of records that start with a prefix; with `limit`, some that come after the key `after`, in an order that never changes. */
  keys(prefix: string, range: Range): Promise<readonly string[]>
  /**
   * The ids and texts of up to 16 sessions' rows: of those whose `expiresAt` is before `now`, the oldest; or with `after`, those that follow this id
   * in the order of ids, wrapping around at the end, each once.
   */
  stale(now: number, after: string | undefined): Promise<readonly (readonly [id: string, text: string])[]>
}

export interface Range extends Part {
  readonly after?: string | undefined
  readonly limit?: number | undefined
}

/** What {@link remoteStore} makes of an engine; a store adds a channel, a beacon and a fence if the engine has something to build them on. */
export type RemoteStore = Required<Pick<Store, 'read' | 'rows' | 'list' | 'page' | 'isBusy' | 'spansMachines' | 'close'>> & {
  /** @param notes what a lock server notes of the commands */
  apply(commands: readonly Command[], notes?: Notes): Promise<Outcome[]>
}

/** How many batches are under way at once. What is asked meanwhile goes together with the next. */
const most = 4
/** How many records a list fetches at once. */
const portion = 500
/** The longest pause before another attempt, in ms. */
const longestPause = 64
/** How long a command is tried while others change its rows all the time, in ms: as long as anyone waits for a busy store. */
const patience = 120_000

/**
 * A store on an engine that answers asynchronously. A batch is carried out on the rows as they were last seen, and committed if they have not changed
 * since: one round trip. If they have, they are fetched and the batch is carried out again.
 */
export function remoteStore<Version>(engine: Engine<Version>): RemoteStore {
  type Rows = Map<string, Row<Version> | undefined>
  const { largest = Infinity } = engine
  const memory = new Memory<Version>()
  const underWay = new Set<Job>()
  /** Sessions with requests of which nobody knows whether they were carried out, or will be. */
  const doubtful = new Set<string>()
  let waiting: Job[] = []
  let batches = 0
  /** How many jobs are tried again because others change their rows. */
  let contended = 0
  let isCalled = false
  let closed = false

  const closedError = (): LockError => new LockError('closed', 'the store was closed')

  const assertOpen = (): void => {
    if (closed) throw closedError()
  }

  const explain = (error: unknown): LockError => (closed ? closedError() : storeError(error, engine.title))

  const fetch = async (ids: Iterable<string>): Promise<Rows> => {
    const wanted = [...new Set(ids)]
    const found = await engine.fetch(wanted.filter(isStorable))
    const rows: Rows = new Map(wanted.map((id) => [id, found.get(id)]))
    for (const [id, row] of rows) memory.set(id, row)
    return rows
  }

  /**
   * Writes the rows of sessions once more of which a request had no answer. If it is still under way, it finds another version of its session's row and
   * fails: it must not be carried out after its withdrawal.
   */
  const clearDoubts = async (): Promise<void> => {
    for (const session of doubtful) {
      const id = sessionId(session)
      for (let isClear = false; !isClear; ) {
        const row = (await fetch([id])).get(id)
        memory.forget([id])
        const write = row && { text: row.text, session: decodeSession(session, row.text) }
        isClear = !row || (await engine.commit(new Map([[id, row.version]]), new Map([[id, write]]))) !== undefined
      }
      doubtful.delete(session)
    }
  }

  /**
   * Carries out jobs unless others change the rows meanwhile.
   * @param first the rows to fetch first
   * @returns the outcomes, or the rows that it used
   */
  const attempt = async (jobs: readonly Job[], first: readonly string[] = []): Promise<{ outcomes?: Outcome[]; used: string[] }> => {
    const commands = jobs.flatMap((job) => job.commands)
    const fetched: Rows = new Map()
    /** What the last fetch answered. */
    let fresh: Rows = new Map()
    const get = async (ids: Iterable<string>): Promise<void> => {
      fresh = await fetch(ids)
      for (const [id, row] of fresh) fetched.set(id, row)
    }
    if (doubtful.size) await clearDoubts()
    if (first.length) await get(first)
    for (;;) {
      const rows = new Known(fetched, memory)
      const changes = runBatch(commands, {
        now: engine.now(),
        get floor() {
          return rows.floor
        },
        record: (key) => rows.record(key),
        session: (id) => rows.session(id),
        stale: () => [],
      })
      const used = [...rows.used.keys()]
      const writes = writesOf(changes, rows.used)
      // What is answered without a commit must have been true at one moment.
      if (rows.unknown.size || !(writes.size || used.every((id) => fresh.has(id)))) {
        await get(used)
        continue
      }
      if (!writes.size) return { outcomes: changes.outcomes, used }
      // If it fails, nobody knows whether they were written.
      memory.forget(used)
      const seen = new Map(Array.from(rows.used, ([id, row]) => [id, row?.version]))
      const version = await engine.commit(seen, writes, notedOf(jobs, changes.outcomes)).catch((error) => {
        for (const command of commands) if (command.type === 'request') doubtful.add(command.session)
        throw error
      })
      if (version === undefined) return { used }
      for (const [id, row] of rows.used) memory.set(id, row)
      for (const [id, write] of writes) memory.set(id, write && { text: write.text, version })
      return { outcomes: changes.outcomes, used }
    }
  }

  /** Carries out jobs as one batch; if others change their rows again and again, each on its own. */
  const carryOut = async (jobs: readonly Job[]): Promise<void> => {
    try {
      let { outcomes, used } = await attempt(jobs)
      if (!outcomes) ({ outcomes, used } = await attempt(jobs, used))
      if (outcomes) return settle(jobs, outcomes)
      const { picked, left } = pick(jobs, [], true)
      for (const job of left) underWay.delete(job)
      waiting = [...left, ...waiting]
      for (const job of picked) insist(job)
    } catch (error) {
      fail(jobs, error)
    }
  }

  const insist = async (job: Job): Promise<void> => {
    const since = performance.now()
    contended++
    try {
      let used = job.commands.flatMap(idsOf)
      for (let pause = 1; ; pause = Math.min(2 * pause, longestPause)) {
        await new Promise((resolve) => setTimeout(resolve, Math.random() * pause))
        assertOpen()
        const tried = await attempt([job], used)
        if (tried.outcomes) return settle([job], tried.outcomes)
        used = tried.used
        if (performance.now() > since + patience) throw new Error(`others have changed or locked what a command needs for ${patience / 1_000} s`)
      }
    } catch (error) {
      fail([job], error)
    } finally {
      contended--
    }
  }

  const settle = (jobs: readonly Job[], outcomes: Outcome[]): void => {
    for (const job of jobs) {
      underWay.delete(job)
      job.resolve(outcomes.splice(0, job.commands.length))
    }
    pump()
  }

  const fail = (jobs: readonly Job[], error: unknown): void => {
    for (const job of jobs) {
      underWay.delete(job)
      job.reject(explain(error))
    }
    pump()
  }

  /** Begins what need not wait. */
  const pump = (): void => {
    if (batches === most || !waiting.length) return
    const { picked, left } = pick(waiting, underWay)
    const some = picked.slice(0, howMany(picked, largest))
    waiting = [...picked.slice(some.length), ...left]
    if (!some.length) return
    for (const job of some) underWay.add(job)
    batches++
    carryOut(some).finally(() => {
      batches--
      pump()
    })
    if (some.length < picked.length) pump()
  }

  const staleRows = async (after: string | undefined): Promise<SessionRow[]> => {
    // What a beat learns of others is a hint.
    const found = await engine.stale(engine.now(), after).catch(() => [])
    return found.flatMap(([id, text]) => {
      try {
        return [decodeSession(id, text)]
      } catch {
        return []
      }
    })
  }

  /** Adds what beats are to show of other sessions, which is asked at the same time. */
  const withStale = async (commands: readonly Command[], applied: Promise<Outcome[]>): Promise<Outcome[]> => {
    const asked = new Map<string | undefined, Promise<SessionRow[]>>()
    const shown = commands.map((command) => {
      if (command.type !== 'beat') return []
      const rows = asked.get(command.others) ?? staleRows(command.others)
      asked.set(command.others, rows)
      return rows
    })
    const [outcomes, rows] = await Promise.all([applied, Promise.all(shown)])
    return outcomes.map((outcome, index) => (outcome.type === 'beaten' ? { ...outcome, stale: rows[index] ?? [] } : outcome))
  }

  /** The views of those of these keys that have records. */
  const look = async (keys: readonly string[], reader?: string): Promise<LockView[]> => {
    const view = (get: (id: string) => Row<Version> | undefined): LockView[] =>
      keys.flatMap((key) => {
        const row = get(recordId(key))
        const session = (id: string): SessionRow | undefined => decoded(get(sessionId(id)), (text) => decodeSession(id, text))
        return row ? [viewOf(decodeRecord(key, row.text), session, reader)] : []
      })
    const wanted = new Set(keys.map(recordId))
    try {
      // It probably leans on the same sessions as when it was last seen.
      view((id) => {
        wanted.add(id)
        return memory.get(id)
      })
    } catch {
      // It could not be read then.
    }
    for (const rows = await fetch(wanted); ; ) {
      const unknown = new Set<string>()
      const views = view((id) => {
        if (!rows.has(id)) unknown.add(id)
        return rows.get(id)
      })
      if (!unknown.size) return views
      for (const [id, row] of await fetch(unknown)) rows.set(id, row)
    }
  }

  const looking = async <T>(ask: () => Promise<T>): Promise<T> => {
    assertOpen()
    return await ask().catch((error) => {
      throw explain(error)
    })
  }

  return {
    async apply(commands, notes) {
      assertOpen()
      const { jobs, applied } = jobsOf(commands, notes)
      waiting.push(...jobs)
      // Everything asked in one turn of the event loop goes together.
      if (!isCalled) {
        isCalled = true
        Promise.resolve().then(() => {
          isCalled = false
          pump()
        })
      }
      return await (commands.some(({ type }) => type === 'beat') ? withStale(commands, applied) : applied)
    },
    read: (key, reader) => looking(async () => (await look([key], reader))[0]),
    rows: (ids) =>
      looking(async () => {
        const rows = await fetch(ids.map(sessionId))
        return rowsOf(ids, (id) => decoded(rows.get(sessionId(id)), (text) => decodeSession(id, text)))
      }),
    list: (prefix = '', { busy } = {}) =>
      looking(async () => {
        const keys = isStorable(prefix) ? [...(await engine.keys(prefix, { busy }))].sort() : []
        const views: LockView[] = []
        for (let at = 0; at < keys.length; at += portion) views.push(...(await look(keys.slice(at, at + portion))))
        return views
      }),
    page: (prefix, after, limit, { busy } = {}) =>
      looking(async () => (isStorable(prefix) ? look(await engine.keys(prefix, { after, limit, busy })) : [])),
    isBusy: () => contended > 0,
    spansMachines: true,
    async close() {
      closed = true
      const left = waiting
      waiting = []
      fail(left, undefined)
    },
  }
}

/** What is noted of jobs. */
function notedOf(jobs: readonly Job[], outcomes: readonly Outcome[]): Noted | undefined {
  const rows: object[] = []
  const kept: (() => void)[] = []
  let at = 0
  for (const { commands, notes } of jobs)
    for (const index of commands.keys()) {
      const outcome = outcomes[at++] as Outcome
      const own = notes?.rowsOf(outcome, index) ?? []
      if (!own.length) continue
      rows.push(...own)
      kept.push(() => notes?.kept(index))
    }
  const insertion = jobs.find(({ notes }) => notes)?.notes?.insertion
  return insertion && rows.length ? { insertion, rows, kept: () => void kept.map((keep) => keep()) } : undefined
}

const decoded = <T>(row: Row<unknown> | undefined, read: (text: string) => T): T | undefined => row && read(row.text)

/** The rows that a command names. */
const idsOf = (command: Command): string[] => [
  ...('key' in command ? [recordId(command.key)] : []),
  ...('session' in command && command.session !== undefined ? [sessionId(command.session)] : []),
]
