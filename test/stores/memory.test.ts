import { describe, test } from 'vitest'
import { memoryStore } from '../../src/stores/memory.ts'
import { storeSuite } from '../../src/testing/index.ts'

describe('the memory store', () => {
  const place = () => {
    const store = memoryStore()
    let text: string | undefined
    const fence = {
      write: (_: undefined, next: string) => {
        text = next
      },
      written: () => text,
    }
    return { open: () => store, alone: true, fence }
  }
  for (const { name, run } of storeSuite(place)) test(name, run)
})
