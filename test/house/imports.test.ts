import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { forbiddenImports, importRings, readSources } from './imports.ts'

const broken = (file: string, text: string): string[] => forbiddenImports(new Map([[file, text]]))

it('every source file has at most 250 lines', () => {
  const sources = readSources(fileURLToPath(new URL('../../src', import.meta.url)))
  const long = [...sources].filter(([, text]) => text.trimEnd().split('\n').length > 250)
  expect(long.map(([path]) => path)).toEqual([])
})

describe('imports', () => {
  it('of every source file point only down', () => {
    const sources = readSources(fileURLToPath(new URL('../../src', import.meta.url)))
    expect(sources.size).toBeGreaterThan(10)
    expect(forbiddenImports(sources)).toEqual([])
  })

  it.each(['src', 'sim', 'model'])('of %s form no ring', (folder) => {
    expect(importRings(readSources(fileURLToPath(new URL(`../../${folder}`, import.meta.url))))).toEqual([])
  })

  it('that form a ring are found', () => {
    const ring = {
      'a.ts': `import type { B } from './b/b.ts'`,
      'b/b.ts': `export * from '../c.ts'`,
      'c.ts': `import './a.ts'`,
      'd.ts': `import './a.ts'`,
    }
    expect(importRings(new Map(Object.entries(ring)))).toEqual([['a.ts', 'b/b.ts', 'c.ts']])
  })

  it.each([
    ['protocol/reduce.ts', `import type { Store } from '../store.ts'`],
    ['protocol/reduce.ts', `import { randomUUID } from 'node:crypto'`],
    ['store.ts', `import type { Locks } from './locks/types.ts'`],
    ['stores/memory.ts', `import { systemClock } from '../locks/clock.ts'`],
    ['stores/memory.ts', `import { sqliteStore } from './sqlite.ts'`],
    ['stores/memory.ts', `import { statements } from './sqlite/statements.ts'`],
    ['stores/sqlite/statements.ts', `import { sqliteStore } from '../sqlite.ts'`],
    ['channels/socket.ts', `import type { Command } from '../protocol/index.ts'`],
    ['beacons/sidecar.ts', `import { sqliteStore } from '../stores/sqlite.ts'`],
    ['locks/create.ts', `import { memoryStore } from '../stores/memory.ts'`],
    ['locks/create.ts', `import { setTimeout } from 'node:timers/promises'`],
    ['stores/http/post.ts', `import { schemas } from '../../server/schemas/asked.ts'`],
    ['server/serve.ts', `import { sqliteStore } from '../stores/sqlite.ts'`],
    ['locks/create.ts', `import { serve } from '../server/index.ts'`],
    ['react/index.ts', `import { createLocks } from '../locks/create.ts'`],
    ['index.ts', `export * from './stores/memory.ts'`],
    ['index.ts', `export const memory = () => import('./stores/memory.ts')`],
    ['index.ts', `export type M = import('./stores/memory.ts').MemoryStore`],
    ['testing/index.ts', `export { createLocks } from '../locks/create.ts'`],
    ['testing/index.ts', `import { memoryStore } from '../stores/memory.ts'`],
  ])('of %s cannot be %s', (file, text) => {
    expect(broken(file, text)).toHaveLength(1)
  })

  it('of a new folder are refused until the folder has a rule', () => {
    expect(broken('extras/new.ts', '')).toEqual(['extras/new.ts: no rule for extras/'])
  })

  it('may point down, to a package where a store uses an engine, and to a file’s own parts', () => {
    const text = `
      import Database from 'better-sqlite3'
      import { runBatch } from '../protocol/index.ts'
      import type { Store } from '../store.ts'
      import { statements } from './sqlite/statements.ts'`
    expect(broken('stores/sqlite.ts', text)).toEqual([])
    expect(broken('stores/sqlite/statements.ts', `import { names } from './names.ts'`)).toEqual([])
  })
})
