import { expect, test } from 'vitest'
import { heapAfterNames } from './names.ts'

test.each(['sqlite', 'http'] as const)('20,000 idle names grow the heap by less than 2 MB: %s', { timeout: 200_000 }, async (kind) => {
  expect(await heapAfterNames(kind)).toBeLessThan(2 * 2 ** 20)
})
