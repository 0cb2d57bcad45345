import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import type { Command } from '../../src/protocol/index.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'

const open: Command = { type: 'beat', session: 's', client: 'c', lease: 60_000, opens: true }
const ask = (key: string): Command => ({ type: 'request', key, session: 's', client: 'c', number: 1, mode: 'exclusive', confirm: 500 })

test('writes alongside commands are committed only together with them, and see their outcomes', async () => {
  const db = new Database(':memory:')
  db.exec('CREATE TABLE notes (note TEXT)')
  const store = sqliteStore(db)
  const done = await Promise.all([
    store.apply([open, ask('a')], (tx, outcomes) => {
      tx.prepare('INSERT INTO notes VALUES (?)').run(outcomes.map(({ type }) => type).join())
    }),
    store.apply([ask('b')]),
  ])
  expect(done.flat().map(({ type }) => type)).toEqual(['beaten', 'granted', 'granted'])
  expect(db.prepare('SELECT note FROM notes').all()).toEqual([{ note: 'beaten,granted' }])
  const failing = store.apply([ask('c')], (tx) => {
    tx.prepare('INSERT INTO notes VALUES (?)').run('in vain')
    throw new Error('no room')
  })
  await expect(failing).rejects.toMatchObject({ code: 'store' })
  expect(await store.read('c')).toBeUndefined()
  expect(db.prepare('SELECT note FROM notes').all()).toHaveLength(1)
  await store.close()
  db.close()
})
