import { decodeSession, type Outcome, runBatch } from '../../protocol/index.ts'
import type { Engine } from './engine.ts'
import type { Job } from './jobs.ts'
import type { Noted } from './notes.ts'
import { isStorable, Known, Memory, type Row, rowOf, sessionId, writesOf } from './rows.ts'

/** Rows by id; `undefined` for a row that does not exist. */
type Rows<Version> = Map<string, Row<Version> | undefined>

/** Carries out batches on the rows as they were last seen. */
export interface Attempts<Version> {
  /** Rows as they were last seen. */
  readonly memory: Memory<Version>
  fetch(ids: Iterable<string>): Promise<Rows<Version>>
  /**
   * Carries out jobs unless another session changes the rows meanwhile.
   * @param first the ids of the rows to fetch first
   * @returns the outcomes; if the rows have changed, the ids of the rows that it used
   */
  attempt(jobs: readonly Job[], first?: readonly string[]): Promise<Attempted>
}

type Attempted = { readonly outcomes: Outcome[] } | { readonly outcomes?: undefined; readonly used: string[] }

export function makeAttempts<Version>(engine: Engine<Version>): Attempts<Version> {
  const memory = new Memory<Version>()
  /** Sessions with an unanswered request, which may have been carried out or may be later. */
  const doubtful = new Set<string>()

  const fetch = async (ids: Iterable<string>): Promise<Rows<Version>> => {
    const wanted = [...new Set(ids)]
    const found = await engine.fetch(wanted.filter(isStorable))
    // Copies, since decoded contents are kept with them, and the engine may go on using its own objects.
    const rows: Rows<Version> = new Map(wanted.map((id) => [id, copyOf(found.get(id))]))
    for (const [id, row] of rows) memory.set(id, row)
    return rows
  }

  /**
   * Rewrites the rows of sessions with an unanswered request. If the request is still under way, it finds another version of its session's row and
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

  const attempt = async (jobs: readonly Job[], first: readonly string[] = []): Promise<Attempted> => {
    const commands = jobs.length === 1 ? (jobs[0] as Job).commands : jobs.flatMap((job) => job.commands)
    if (doubtful.size) await clearDoubts()
    let fetched = first.length ? await fetch(first) : undefined
    /** The rows of the last fetch. */
    let fresh = fetched
    for (;;) {
      const rows = new Known(engine.now(), fetched, memory)
      const changes = runBatch(commands, rows)
      const { used, unknown } = rows
      const writes = writesOf(changes, used)
      // Without a commit, all rows must be from one fetch, so that the answer was true at one moment.
      if (unknown.size || !(writes.size || areAmong(used, fresh))) {
        fresh = await fetch(used.keys())
        fetched = fetched ? new Map([...fetched, ...fresh]) : fresh
        continue
      }
      if (!writes.size) return changes
      const seen = new Map<string, Version | undefined>()
      for (const [id, row] of used) seen.set(id, row?.version)
      // If the commit fails, we do not know whether the rows were written.
      memory.forget(used.keys())
      const version = await engine.commit(seen, writes, notedOf(jobs, changes.outcomes)).catch((error) => {
        for (const command of commands) if (command.type === 'request') doubtful.add(command.session)
        throw error
      })
      if (version === undefined) return { used: [...used.keys()] }
      for (const [id, row] of used) if (!writes.has(id)) memory.set(id, row)
      for (const [id, write] of writes) memory.set(id, write && rowOf(write, version))
      return changes
    }
  }

  return { memory, fetch, attempt }
}

const copyOf = <Version>(row: Row<Version> | undefined): Row<Version> | undefined => row && { text: row.text, version: row.version }

const areAmong = (ids: ReadonlyMap<string, unknown>, rows: ReadonlyMap<string, unknown> | undefined): boolean => {
  for (const id of ids.keys()) if (!rows?.has(id)) return false
  return true
}

/** The notes of these jobs and their outcomes, if there are any. */
function notedOf(jobs: readonly Job[], outcomes: readonly Outcome[]): Noted | undefined {
  const insertion = jobs.find(({ notes }) => notes)?.notes?.insertion
  if (!insertion) return undefined
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
  return rows.length ? { insertion, rows, kept: () => void kept.map((keep) => keep()) } : undefined
}
