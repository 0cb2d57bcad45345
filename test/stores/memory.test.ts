import { describe, test } from 'vitest'
import { memoryStore } from '../../src/stores/memory.ts'
import { storeSuite } from '../../src/testing/index.ts'

describe('the memory store', () => {
  const place = () => {
    const store = memoryStore()
    return { open: () => store, alone: true }
  }
  for (const { name, run } of storeSuite(place)) test(name, run)
})
