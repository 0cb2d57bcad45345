import { describe, expect, test } from 'vitest'
import type { Store } from '../../src/store.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { storeSuite } from '../../src/testing/index.ts'

/** The names of the facts that a store fails. */
async function failures(make: () => Store): Promise<string[]> {
  const failed: string[] = []
  for (const { name, run } of storeSuite(() => ({ open: make, alone: true }))) await run().catch(() => failed.push(name))
  return failed
}

describe('the suite finds a store that', () => {
  test('does not sort its list', async () => {
    const store = () => {
      const sound = memoryStore()
      const list: typeof sound.list = async (prefix, part) => (part ? sound.list(prefix, part) : (await sound.list(prefix)).reverse())
      return { ...sound, list }
    }
    expect(await failures(store)).toEqual(['a list is sorted by key, and limited to a prefix if one is given'])
  })

  test('works on after it was closed', async () => {
    expect(await failures(() => ({ ...memoryStore(), close: async () => {} }))).toEqual([
      'a closed store rejects with `closed`, and may be closed again',
    ])
  })

  test('loses the last command of a batch', async () => {
    const store = () => {
      const sound = memoryStore()
      return {
        ...sound,
        apply: async (commands: Parameters<Store['apply']>[0]) => sound.apply(commands.length > 1 ? commands.slice(0, -1) : commands),
      }
    }
    expect((await failures(store)).length).toBeGreaterThan(10)
  })

  test('forgets the rows of sessions', async () => {
    const store = () => {
      const sound = memoryStore()
      return { ...sound, read: async (key: string) => sound.read(key).then((view) => view && { ...view, sessions: new Map() }) }
    }
    expect(await failures(store)).toContain('a record comes with the session rows that it leans on')
  })

  test('is sound has no failures', async () => {
    expect(await failures(() => memoryStore())).toEqual([])
  })
})
