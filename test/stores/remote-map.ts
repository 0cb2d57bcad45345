import type { Store } from '../../src/store.ts'
import { type Engine, type Row, remoteStore, type Write } from '../../src/stores/remote.ts'

/** An engine that answers asynchronously, in the memory of this process. */
export interface Server {
  readonly rows: Map<string, Row<number>>
  /** The number of calls of each kind. `missed` counts refused commits. */
  readonly asked: { fetch: number; commit: number; missed: number; stale: number }
  /** Rows that a user's transaction has locked. */
  readonly locked: Set<string>
  /** Called before each answer is computed. */
  before?: ((what: 'fetch' | 'commit') => void) | undefined
}

export const makeServer = (): Server => ({ rows: new Map(), asked: { fetch: 0, commit: 0, missed: 0, stale: 0 }, locked: new Set() })

const travel = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** The engine of a store on a server. */
export function mapEngine(server: Server, now: () => number = Date.now): Engine<number> {
  const { rows, asked, locked } = server
  const sessions = () => [...rows].filter(([id]) => id.startsWith('s:')).map(([id, { text }]) => [id.slice(2), text] as const)
  return {
    title: 'the map',
    now,
    async fetch(ids) {
      asked.fetch++
      await travel()
      server.before?.('fetch')
      const found = ids.flatMap((id) => [rows.get(id)].flatMap((row) => (row ? [[id, row] as const] : [])))
      await travel()
      return new Map(found)
    },
    async commit(seen, writes) {
      asked.commit++
      await travel()
      server.before?.('commit')
      const stands = [...seen].every(([id, version]) => rows.get(id)?.version === version && !locked.has(id))
      const version = Math.random()
      if (stands) for (const [id, write] of writes) put(rows, id, write, version)
      else asked.missed++
      await travel()
      return stands ? version : undefined
    },
    async keys(prefix, { after, limit }) {
      await travel()
      const keys = [...rows.keys()].filter((id) => id.startsWith(`r:${prefix}`)).map((id) => id.slice(2))
      const rest = keys.sort().filter((key) => after === undefined || key > after)
      return rest.slice(0, limit)
    },
    async stale(now, after) {
      asked.stale++
      await travel()
      const all = sessions().sort()
      if (after !== undefined) return [...all.filter(([id]) => id > after), ...all.filter(([id]) => id <= after)].slice(0, 16)
      return all.filter(([, text]) => JSON.parse(text)[4] < now).slice(0, 16)
    },
  }
}

function put(rows: Map<string, Row<number>>, id: string, write: Write | undefined, version: number): void {
  // Frozen, since the store must leave an engine's own objects alone.
  if (write) rows.set(id, Object.freeze({ text: write.text, version }))
  else rows.delete(id)
}

export const mapStore = (server: Server, now?: () => number): Store => remoteStore(mapEngine(server, now))
