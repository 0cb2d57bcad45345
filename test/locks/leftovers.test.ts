import { expect, test } from 'vitest'
import type { Home } from '../../src/locks/home.ts'
import { endLeftovers } from '../../src/locks/leftovers.ts'
import type { SessionRow } from '../../src/protocol/index.ts'

const page = 16
const idOf = (n: number): string => `s${String(n).padStart(5, '0')}`
const rowOf = (n: number): SessionRow => ({ id: idOf(n), client: 'c', seq: 1, lease: 1_000, expiresAt: 0, evictions: 0, asks: 0 })

/** A new session among so many. @returns how many pages it read, and which sessions it ended */
async function open(count: number, isDead: (n: number) => boolean): Promise<{ pages: number; ended: string[] }> {
  const rows = Array.from({ length: count }, (_, n) => rowOf(n))
  const ended: string[] = []
  let pages = 1
  const session = {
    id: 'another',
    clock: { random: () => 0 },
    settings: { expiry: 'auto', store: { beacon: { isOut: () => {} } } },
    ending: { pause: async () => true },
    dead: async (some: SessionRow[]) => new Set(some.filter(({ id }) => isDead(Number(id.slice(1)))).map(({ id }) => id)),
    send: async ({ session }: { session: string }) => void ended.push(session),
  } as unknown as Home
  await endLeftovers(session, rows.slice(0, page), async (after) => {
    pages++
    const from = Number(after.slice(1)) + 1
    return rows.slice(from, from + page)
  })
  return { pages, ended }
}

test('a new session among thousands of living ones reads one page of them', async () => {
  expect(await open(5_000, () => false)).toEqual({ pages: 1, ended: [] })
})

test('a new session goes on as long as it finds dead ones', async () => {
  const { pages, ended } = await open(5_000, (n) => n < 1_000)
  expect(ended).toHaveLength(1_000)
  expect(pages).toBe(1 + Math.floor(999 / page) + 1)
})
