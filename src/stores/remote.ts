import { type Command, LockError, type LockView, type Outcome, rowsOf, storeError } from '../protocol/index.ts'
import type { Store } from '../store.ts'
import { makeAttempts } from './remote/attempts.ts'
import type { Engine } from './remote/engine.ts'
import { howMany, type Job, jobsOf, pick } from './remote/jobs.ts'
import { makeLooks, sessionOf } from './remote/looks.ts'
import type { Notes } from './remote/notes.ts'
import { isStorable, recordId, sessionId } from './remote/rows.ts'

export type { Engine, Range } from './remote/engine.ts'
export type { Noted } from './remote/notes.ts'
export { floorId, type Row, recordId, sessionId, type Write } from './remote/rows.ts'

/**
 * The part of a store that {@link remoteStore} builds on an engine. The store adds a channel, a beacon and a fence if the engine has the means for
 * them.
 */
export type RemoteStore = Required<Pick<Store, 'read' | 'rows' | 'list' | 'page' | 'isBusy' | 'spansMachines' | 'close'>> & {
  /** @param notes rows that a lock server writes in the same commit */
  apply(commands: readonly Command[], notes?: Notes): Promise<Outcome[]>
}

/** How many batches run at once. Commands that arrive meanwhile go together in the next batch. */
const most = 4
/** How many records a list fetches at once. */
const portion = 500
/** The longest pause before another attempt, in ms. Requests give way to releases, because every waiter would wait longer otherwise. */
const longestPause = { ofHolder: 4, ofOthers: 64 }
/** How long a command is retried while other sessions keep changing its rows, in ms: as long as a session waits for a busy store. */
const patience = 120_000

/**
 * A store on an engine that answers asynchronously. A batch is carried out on the rows as they were last seen, and committed if they have not changed
 * since: one round trip. If they have changed, the store fetches them and carries out the batch again.
 */
export function remoteStore<Version>(engine: Engine<Version>): RemoteStore {
  const { largest = Infinity } = engine
  const attempts = makeAttempts(engine)
  const { attempt, fetch } = attempts
  const { look, withStale } = makeLooks(engine, attempts)
  const underWay = new Set<Job>()
  let waiting: Job[] = []
  let batches = 0
  /** How many jobs are being retried because other sessions keep changing their rows. */
  let contended = 0
  let isCalled = false
  let closed = false

  const closedError = (): LockError => new LockError('closed', 'the store was closed')

  const assertOpen = (): void => {
    if (closed) throw closedError()
  }

  const explain = (error: unknown): LockError => (closed ? closedError() : storeError(error, engine.title))

  /** Carries out jobs as one batch. If other sessions change the rows during both attempts, each job goes on alone. */
  const carryOut = async (jobs: readonly Job[]): Promise<void> => {
    try {
      let tried = await attempt(jobs)
      if (!tried.outcomes) tried = await attempt(jobs, tried.used)
      if (tried.outcomes) return settle(jobs, tried.outcomes)
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
      const longest = job.commands.some(isOfHolder) ? longestPause.ofHolder : longestPause.ofOthers
      for (let pause = 1; ; pause = Math.min(2 * pause, longest)) {
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

  /** Starts the jobs that need not wait. */
  const pump = (): void => {
    if (batches === most || !waiting.length) return
    const { picked, left } = waiting.length > 1 || underWay.size ? pick(waiting, underWay) : { picked: waiting, left: [] }
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
      // All commands of one turn of the event loop go together.
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
        return rowsOf(ids, (id) => sessionOf(id, rows.get(sessionId(id))))
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

/** Whether a command renews or gives up something that its session has. */
const isOfHolder = ({ type }: Command): boolean => type === 'release' || type === 'renew' || type === 'withdraw' || type === 'beat'

/** The ids of the rows that a command names. */
const idsOf = (command: Command): string[] => [
  ...('key' in command ? [recordId(command.key)] : []),
  ...('session' in command && command.session !== undefined ? [sessionId(command.session)] : []),
]
