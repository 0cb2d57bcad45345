import type { Journal } from '../journal.ts'
import type { LogEntry, LogQuery } from '../wire.ts'

/** For a store that ends with the process. */
export function memoryJournal(): Journal {
  const bound = new Map<string, { readonly owner: string; readonly at: number }>()
  let entries: LogEntry[] = []
  let id = 0
  return {
    async bind(sessions, owner, at) {
      for (const session of sessions) if (!bound.has(session)) bound.set(session, { owner, at })
      return sessions.map((session) => bound.get(session)?.owner as string)
    },
    ownerOf: async (session) => bound.get(session)?.owner,
    async boundBefore(at, limit) {
      const old: string[] = []
      for (const [session, binding] of bound) {
        if (binding.at >= at || old.length === limit) break
        old.push(session)
      }
      return old
    },
    async unbind(sessions) {
      for (const session of sessions) bound.delete(session)
    },
    async append(added) {
      for (const entry of added) entries.push({ id: ++id, ...entry })
    },
    hasGrant: async (key, token) => entries.some((entry) => entry.kind === 'grant' && entry.key === key && entry.token === token),
    async query(query, prefixes) {
      const found: LogEntry[] = []
      for (let index = entries.length - 1; index >= 0 && found.length < query.limit; index--) {
        const entry = entries[index] as LogEntry
        if (isMeant(entry, query) && (!prefixes || isWithin(entry, prefixes))) found.push(entry)
      }
      return found
    },
    async trim(now, limits) {
      entries = entries.slice(-limits.entries).filter(({ at }) => at >= now - limits.age)
    },
    async close() {},
  }
}

const isWithin = ({ key }: LogEntry, prefixes: readonly string[]): boolean => key !== '' && prefixes.some((prefix) => key.startsWith(prefix))

const isMeant = (entry: LogEntry, { key, prefix, kind, since, until, before }: LogQuery): boolean =>
  (key === undefined || entry.key === key) &&
  (prefix === undefined || entry.key.startsWith(prefix)) &&
  (kind === undefined || entry.kind === kind) &&
  (since === undefined || entry.at >= since) &&
  (until === undefined || entry.at <= until) &&
  (before === undefined || entry.id < before)
