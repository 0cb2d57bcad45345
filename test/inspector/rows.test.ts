import { expect, test } from 'vitest'
import { createLocks } from '../../src/index.ts'
import { kindOf, rowsOf } from '../../src/inspector/rows.ts'
import { memoryStore } from '../../src/stores/memory.ts'

test('the rows of a snapshot have the holders and the queue of each lock, with a session’s like requests as one entry', async () => {
  const store = memoryStore()
  const [one, two] = [createLocks({ store, label: 'one', duration: 5_000 }), createLocks({ store, label: 'two' })]
  await one.acquire('b', { metadata: { port: 7 } })
  await one.acquire('a', { limit: 2 })
  const waits = [two.acquire('b'), two.acquire('b')]
  await two.query()
  waits.push(one.acquire('b', { ask: 'soon' }))
  await one.query()
  waits.push(two.acquire('b'))
  const rows = rowsOf(await two.query())
  expect([...rows.keys()]).toEqual(['a', 'b'])
  const row = rows.get('b')
  expect(row?.holders).toMatchObject([{ label: 'one', metadata: { port: 7 } }])
  expect(row?.queue.map(({ label, count, ask }) => [label, count, ask])).toEqual([
    ['two', 2, undefined],
    ['one', 1, 'soon'],
    ['two', 1, undefined],
  ])
  expect(rows.get('a')?.holders.map(kindOf)).toEqual(['one of 2'])
  const settled = Promise.allSettled(waits)
  await Promise.all([one.close(), two.close()])
  await settled
})

test('a holder’s last renewal is at its expiry minus its lease', async () => {
  const locks = createLocks({ store: memoryStore(), duration: 6_000 })
  const before = Date.now()
  await locks.acquire('a')
  const [holder] = (await locks.query()).held
  expect(holder?.lease).toBe(8_000)
  const renewed = (holder?.expiresAt ?? 0) - 8_000
  expect(renewed).toBeGreaterThanOrEqual(before)
  expect(renewed).toBeLessThanOrEqual(Date.now())
  await locks.close()
})
