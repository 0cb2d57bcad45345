import { expect, test } from 'vitest'
import { soak } from './soak/soak.ts'

test('under all attacks at once a user is never refused, the log keeps its first grant, and the server uses at most 300 MB', async () => {
  const { attacked, failures, history, rss, attacks } = await soak(8)
  expect([failures, history]).toEqual([[], true])
  expect(attacked.count).toBeGreaterThan(0)
  expect(rss).toBeLessThan(300 * 2 ** 20)
  // Each attack got at least one answer.
  expect(Object.values(attacks).every((statuses) => Object.keys(statuses).length)).toBe(true)
}, 120_000)
