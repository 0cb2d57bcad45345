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

test.each([
  ['b', 'c'],
  ['c', 'b'],
])('a release does not rest on what it had in mind of %s, whose session another process has ended', async (ended, granted) => {
  const place = filePlace(Database, sqliteStore)
  const [store, other] = [await place.open(), await place.open()]
  try {
    for (const session of ['a', 'b', 'c', 'd']) {
      await store.apply([{ type: 'beat', session, client: session, lease, opens: true }])
      await store.apply([{ type: 'request', key: 'k', session, client: session, number: 1, mode: 'exclusive', confirm: 500 }])
    }
    const token = (await store.read('k'))?.token ?? 0
    await other.apply([{ type: 'end', session: ended }])
    await store.apply([{ type: 'release', key: 'k', session: 'a', token }])
    const view = await store.read('k')
    expect([view?.holders, view?.queue].map((those) => those?.map(({ session }) => session))).toEqual([[granted], ['d']])
  } finally {
    for (const each of [store, other]) await each.close()
    await place.remove?.()
  }
})

/** Without the rows that a beat shows as hints: which ones is the store's choice. */
const plain = (outcome: Outcome | undefined): unknown => JSON.parse(JSON.stringify({ ...outcome, stale: undefined }))
