import { isAttempt, type Journal, nextTurn, step } from '../journal.ts'
import type { LogEntry, LogQuery } from '../wire.ts'
import { dropsFrom, shareOf } from './shares.ts'

/** A journal for a store that ends with the process. */
export function memoryJournal(): Journal {
  const bound = new Map<string, { readonly owner: string; readonly at: number }>()
  let history: LogEntry[] = []
  let attempts: LogEntry[] = []
  let id = 0

  /** The entries of both lists together, newest first. */
  async function* newestFirst(query: LogQuery): AsyncGenerator<LogEntry> {
    const lists = query.kind === undefined ? [history, attempts] : [isAttempt(query.kind) ? attempts : history]
    const left = lists.map((list) => ({ list, index: list.length - 1 }))
    for (let seen = 1; ; seen++) {
      const [newest] = left.filter(({ index }) => index >= 0).sort((a, b) => idOf(b) - idOf(a))
      if (!newest) return
      yield newest.list[newest.index--] as LogEntry
      if (seen % (10 * step) === 0) await nextTurn()
    }
  }

  return {
    async bind(sessions, owner, at) {
      for (const session of sessions) if (!bound.has(session)) bound.set(session, { owner, at })
      return sessions.map((session) => bound.get(session)?.owner as string)
    },
    ownerOf: async (session) => bound.get(session)?.owner,
    async boundBefore(at, after, limit) {
      const old = [...bound].filter(([session, binding]) => binding.at < at && session > after)
      return old
        .map(([session]) => session)
        .sort()
        .slice(0, limit)
    },
    async unbind(sessions) {
      for (const session of sessions) bound.delete(session)
    },
    async append(added) {
      for (const entry of added) (isAttempt(entry.kind) ? attempts : history).push({ id: ++id, ...entry })
    },
    hasGrant: async (key, token) => history.some((entry) => entry.kind === 'grant' && entry.key === key && entry.token === token),
    async query(query, prefixes) {
      const found: LogEntry[] = []
      for await (const entry of newestFirst(query)) {
        if (found.length >= query.limit) break
        if (isMeant(entry, query) && (!prefixes || isWithin(entry, prefixes))) found.push(entry)
      }
      return found
    },
    size: async () => history.length,
    async trim(now, limits) {
      const isYoung = ({ at }: LogEntry): boolean => at >= now - limits.age
      attempts = attempts.slice(-limits.refusals).filter(isYoung)
      history = withoutMost(history.filter(isYoung), limits.entries)
    },
    async touch() {},
    async close() {},
  }
}

const idOf = ({ list, index }: { readonly list: readonly LogEntry[]; readonly index: number }): number => (list[index] as LogEntry).id

/** The entries without the oldest ones of the clients with the most, so that `most` are left. */
function withoutMost(entries: LogEntry[], most: number): LogEntry[] {
  const excess = entries.length - most
  if (excess <= 0) return entries
  const shares = new Map<string, number>()
  for (const entry of entries) shares.set(shareOf(entry), (shares.get(shareOf(entry)) ?? 0) + 1)
  const drops = dropsFrom(shares, excess)
  return entries.filter((entry) => {
    const left = drops.get(shareOf(entry)) ?? 0
    if (left) drops.set(shareOf(entry), left - 1)
    return !left
  })
}

const isWithin = ({ key }: LogEntry, prefixes: readonly string[]): boolean => key !== '' && prefixes.some((prefix) => key.startsWith(prefix))

const isMeant = (entry: LogEntry, { key, prefix, kind, since, until, before }: LogQuery): boolean =>
  (key === undefined || entry.key === key) &&
  (prefix === undefined || entry.key.startsWith(prefix)) &&
  (kind === undefined || entry.kind === kind) &&
  (since === undefined || entry.at >= since) &&
  (until === undefined || entry.at <= until) &&
  (before === undefined || entry.id < before)
