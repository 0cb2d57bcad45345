import { randomBytes } from 'node:crypto'
import type { Engine } from '../remote.ts'
import { orderFor, rowOf } from './rows.ts'
import { commitScript, keysScript, staleScript } from './scripts.ts'
import type { RedisServer } from './server.ts'

/** How many session rows a beat returns, and how many keys one call fetches. */
const [shown, portion] = [16, 5_000]

/**
 * The engine of a store in Redis.
 * @param prefix the hash tag of its keys
 * @param gone called when changes that the server had confirmed are missing
 */
export function redisEngine(server: RedisServer, prefix: string, title: string, gone: () => void): Engine<string> {
  const indexes = ['keys', 'busy', 'sessions', 'ends'].map((index) => `${prefix}:${index}`) as [string, string, string, string]
  const keyOf = (id: string): string => `${prefix}:${id}`
  const fenceOf = (key: string): string => keyOf(`f:${key}`)
  // No two states may ever have the same version, not even after a failover: it is the writer's random id with a number.
  const writer = randomBytes(6).toString('base64url')
  let [commits, confirmed] = [0, 0]

  return {
    title,
    now: () => Math.floor(server.now()),
    async fetch(ids) {
      const values = ids.length ? ((await server.command(['MGET', ...ids.map(keyOf)], 'safely')) as (string | null)[]) : []
      const rows = ids.map((id, index) => [id, values[index]] as const)
      return new Map(rows.flatMap(([id, value]) => (value ? [[id, rowOf(value)]] : [])))
    },
    async commit(seen, writes) {
      const number = ++commits
      const version = `${writer}${number.toString(36).padStart(8, '0')}`
      const keys = [...indexes, keyOf(`w:${writer}`)]
      const args = [version, String(number), String(confirmed), String(writes.size)]
      for (const [id, write] of writes) {
        keys.push(keyOf(id), fenceOf(id.slice(2)))
        args.push(seen.get(id) ?? '', ...orderFor(id, write))
      }
      for (const [id, known = ''] of seen) {
        if (writes.has(id)) continue
        keys.push(keyOf(id))
        args.push(known)
      }
      const [how] = await server.write(commitScript, keys, args, 'safely')
      if (how === 'back') {
        confirmed = 0
        gone()
      }
      if (how !== 'done') return undefined
      confirmed = Math.max(confirmed, number)
      return version
    },
    async keys(start, { after, limit = Infinity, busy }) {
      const found: string[] = []
      for (let from = after !== undefined && after >= start ? `(${after}` : `[${start}`; found.length < limit; from = `(${found.at(-1)}`) {
        const most = Math.min(limit - found.length, portion)
        const page = (await server.read(keysScript, [indexes[busy ? 1 : 0]], [from, start, String(most)])) as string[]
        found.push(...page)
        if (page.length < most) break
      }
      return found
    },
    async stale(now, after) {
      const which = after === undefined ? ['past', String(now)] : ['after', after]
      const found = (await server.read(staleScript, indexes.slice(2), [`${prefix}:s:`, String(shown), ...which])) as string[]
      return Array.from({ length: found.length / 2 }, (_, row) => [found[2 * row] as string, rowOf(found[2 * row + 1] as string).text])
    },
  }
}
