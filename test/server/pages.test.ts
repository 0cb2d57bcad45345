import { expect, test } from 'vitest'
import { pagesOf } from '../../src/server/pages.ts'
import type { Store } from '../../src/store.ts'
import { memoryStore } from '../../src/stores/memory.ts'

/** A store with this many records, and the size that was asked for each page. */
async function noting(count: number): Promise<{ readonly store: Store; readonly limits: readonly number[] }> {
  const store = memoryStore()
  await store.apply(Array.from({ length: count }, (_, index) => ({ type: 'pin', key: `key ${String(index).padStart(5, '0')}`, entity: 'e' })))
  const limits: number[] = []
  const page: Store['page'] = async (prefix, after, limit, part) => {
    limits.push(limit)
    return (await store.page?.(prefix, after, limit, part)) ?? []
  }
  return { store: { ...store, page }, limits }
}

test('slow records are read fewer at a time, down to one', async () => {
  const { store, limits } = await noting(10)
  const keys: string[] = []
  for await (const views of pagesOf(store)) {
    keys.push(...views.map(({ key }) => key))
    const began = performance.now()
    while (performance.now() < began + 10);
  }
  expect(limits.slice(0, 4)).toEqual([4, 2, 1, 1])
  expect(new Set(limits.slice(2))).toEqual(new Set([1]))
  expect(keys).toHaveLength(10)
})

test('all records are read once and in order, whatever the sizes of the pages', async () => {
  const { store, limits } = await noting(1_000)
  const keys: string[] = []
  for await (const views of pagesOf(store)) keys.push(...views.map(({ key }) => key))
  expect(keys).toEqual([...new Set(keys)].sort())
  expect(keys).toHaveLength(1_000)
  expect(Math.max(...limits)).toBeLessThanOrEqual(64)
})
