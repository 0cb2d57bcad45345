import { expect, test } from 'vitest'
import { heapAfterNames } from './names.ts'

test.each(['sqlite', 'http'] as const)(
  '20,000 names that are idle leave the heap within 2 MB of where it began: %s',
  { timeout: 200_000 },
  async (kind) => {
    expect(await heapAfterNames(kind)).toBeLessThan(2 * 2 ** 20)
  },
)
