import Database from 'better-sqlite3'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Command, Outcome } from '../../src/protocol/index.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { storeSuite } from '../../src/testing/index.ts'
import { history, play } from '../protocol/histories.ts'
import { lease } from '../protocol/shelf.ts'
import { filePlace, handlePlace, memoryPlace } from './sqlite-places.ts'

describe('a SQLite store on a path', () => {
  for (const { name, run } of storeSuite(() => filePlace(Database, (path) => sqliteStore(path)))) test(name, run)
})

describe('a SQLite store on a handle of better-sqlite3', () => {
  for (const { name, run } of storeSuite(() => handlePlace(Database, (db) => sqliteStore(db)))) test(name, run)
})

describe('a SQLite store on a handle whose user wants integers as bigints', () => {
  const open = (db: object) => sqliteStore((db as Database.Database).defaultSafeIntegers())
  for (const { name, run } of storeSuite(() => memoryPlace(Database, open))) test(name, run)
})

describe('a SQLite store in memory', () => {
  for (const { name, run } of storeSuite(() => ({ open: () => sqliteStore(':memory:'), alone: true }))) test(name, run)
})

test('two connections that take turns answer as one map does, whatever they have in mind', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(history, fc.array(fc.boolean(), { minLength: 1, maxLength: 7 }), async (actions, turns) => {
      let now = 1_000_000
      const place = filePlace(Database, (path) => sqliteStore(path, { now: () => now }))
      const stores = [await place.open(), await place.open()] as const
      try {
        const opening = ['a0', 'b0', 'c0', 'd0'].map((session): Command => ({ type: 'beat', session, client: 'c', lease, opens: true }))
        await stores[0].apply(opening)
        const steps: { command: Command; outcome: Outcome; now: number }[] = []
        play(actions, ({ command, outcome, now }) => steps.push({ command, outcome, now }))
        for (const [index, step] of steps.entries()) {
          now = step.now
          const [outcome] = await stores[turns[index % turns.length] ? 0 : 1].apply([step.command])
          expect(plain(outcome)).toEqual(plain(step.outcome))
        }
      } finally {
        for (const store of stores) await store.close()
        await place.remove?.()
      }
    }),
    { numRuns: 25 },
  )
})

/** Without the rows that a beat shows as hints: which ones is the store's choice. */
const plain = (outcome: Outcome | undefined): unknown => JSON.parse(JSON.stringify({ ...outcome, stale: undefined }))
