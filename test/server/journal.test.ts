import { chmodSync, statSync } from 'node:fs'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import type { Command } from '../../src/protocol/index.ts'
import { createHandler } from '../../src/server/index.ts'
import { sqliteJournal } from '../../src/server/journal/sqlite.ts'
import type { Journal } from '../../src/server/journal.ts'
import type { LogReply, ReadReply } from '../../src/server/wire.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { journals, newFile } from './journals.ts'
import { atEnd, beat, Client, handlerOf, request } from './world.ts'

const makers = journals()

describe.each(Object.entries(makers))('a journal in %s', (_, make) => {
  test('binds a session only once, to its first owner', async () => {
    const journal = atEnd(await make())
    expect(await journal.bind(['s'], 'first', 1)).toEqual(['first'])
    expect(await journal.bind(['s', 't'], 'second', 2)).toEqual(['first', 'second'])
    expect([await journal.ownerOf('s'), await journal.ownerOf('u')]).toEqual(['first', undefined])
    expect([await journal.boundBefore(2, '', 10), await journal.boundBefore(3, 's', 10)]).toEqual([['s'], ['t']])
    await journal.unbind(['s'])
    expect(await journal.ownerOf('s')).toBeUndefined()
  })

  test('L3: finds entries by key, prefix, kind and time, newest first, page by page', async () => {
    const journal = atEnd(await make())
    await journal.append([
      { at: 10, kind: 'grant', key: 'a/1', token: 7 },
      { at: 20, kind: 'refusal', key: 'a/2', why: 'forged' },
      { at: 30, kind: 'release', key: 'b', session: 's', who: 'app', address: '192.0.2.7' },
    ])
    const found = async (query: Partial<Parameters<Journal['query']>[0]>) => (await journal.query({ limit: 100, ...query })).map(({ at }) => at)
    expect(await found({})).toEqual([30, 20, 10])
    expect(await found({ key: 'a/1' })).toEqual([10])
    expect(await found({ prefix: 'a/' })).toEqual([20, 10])
    expect(await found({ kind: 'refusal' })).toEqual([20])
    expect(await found({ since: 20, until: 20 })).toEqual([20])
    const [newest] = await journal.query({ limit: 1 })
    expect(newest).toEqual({ id: 3, at: 30, kind: 'release', key: 'b', session: 's', who: 'app', address: '192.0.2.7' })
    expect(await found({ before: newest?.id as number, limit: 1 })).toEqual([20])
  })

  test('knows whether it has an entry for a grant', async () => {
    const journal = atEnd(await make())
    await journal.append([
      { at: 1, kind: 'grant', key: 'a', token: 7 },
      { at: 2, kind: 'release', key: 'a', token: 8 },
    ])
    expect(await Promise.all([journal.hasGrant('a', 7), journal.hasGrant('a', 8), journal.hasGrant('b', 7)])).toEqual([true, false, false])
  })

  test('finds only the entries under given prefixes, and then no entries without a key', async () => {
    const journal = atEnd(await make())
    await journal.append(['a/1', 'b/1', '', 'a/2', 'c'].map((key, at) => ({ at, kind: 'grant' as const, key })))
    const keys = async (...prefixes: string[]) => (await journal.query({ limit: 2 }, prefixes)).map(({ key }) => key)
    expect(await keys('a/')).toEqual(['a/2', 'a/1'])
    expect(await keys('a/', 'c')).toEqual(['c', 'a/2'])
    expect(await keys('')).toEqual(['c', 'a/2'])
    expect(await keys()).toEqual([])
  })

  test('keeps entries up to a maximum age and number', async () => {
    const journal = atEnd(await make())
    await journal.append([10, 20, 30, 40].map((at) => ({ at, kind: 'grant' as const, key: 'k' })))
    const limits = { age: 25, entries: 2, refusals: 2 }
    await journal.trim(40, limits)
    expect((await journal.query({ limit: 100 })).map(({ at }) => at)).toEqual([40, 30])
    await journal.trim(60, limits)
    expect((await journal.query({ limit: 100 })).map(({ at }) => at)).toEqual([40])
  })
})

test('sessions, lockTokens and the log outlive the server', async () => {
  const store = atEnd(sqliteStore(newFile()))
  const first = await createHandler(store)
  const { lockTokens } = await new Client(first, 'a').take('s')
  await first.close()
  const second = await handlerOf(store)
  const [a, b] = [new Client(second, 'a'), new Client(second, 'b')]
  expect((await b.apply({ type: 'beat', session: 's', client: 'c', lease: 1_000 })).outcomes).toMatchObject([{ type: 'ended' }])
  expect((await a.get<ReadReply>('/v1/locks/k')).lockTokens).toHaveLength(1)
  const { token, lockToken } = lockTokens[0] as { token: number; lockToken: string }
  expect((await a.apply({ type: 'release', key: 'k', session: 's', token, lockToken })).outcomes).toMatchObject([{ type: 'done' }])
  expect((await a.get<LogReply>('/v1/log?key=k')).entries.map(({ kind }) => kind)).toEqual(['release', 'grant'])
})

test('L3: every answered command is in the log, even if the server was never closed', async () => {
  const path = newFile()
  const handler = await handlerOf(atEnd(sqliteStore(path)))
  await new Client(handler, 'a').take('s')
  const journal = atEnd(await sqliteJournal(new Database(path)))
  expect(await journal.query({ limit: 10 })).toMatchObject([{ kind: 'grant', key: 'k', session: 's' }])
})

test('L3: a held grant that is missing from the log is added when a server starts, and only once', async () => {
  const store = atEnd(sqliteStore(newFile()))
  await store.apply([beat('s'), request('s')] as Command[])
  for (let start = 0; start < 2; start++) {
    const handler = await createHandler(store)
    const { entries } = await new Client(handler, 'a').get<LogReply>('/v1/log?key=k')
    expect(entries).toMatchObject([{ kind: 'grant', session: 's', why: 'found when the server started' }])
    await handler.close()
  }
})

test.skipIf(process.platform === 'win32')('the secret is beside the database, readable only by its owner', async () => {
  const path = newFile()
  const store = atEnd(sqliteStore(path))
  await (await createHandler(store)).close()
  expect(statSync(`${path}-secret`).mode & 0o777).toBe(0o600)
  chmodSync(`${path}-secret`, 0o644)
  await expect(createHandler(store)).rejects.toMatchObject({ code: 'invalid', message: expect.stringContaining('chmod 600') })
})

test('a server refuses to start on a journal of a newer storelock, and does not change it', async () => {
  const file = newFile()
  const store = atEnd(sqliteStore(file))
  await (await createHandler(store)).close()
  const db = atEnd(new Database(file))
  db.exec(`UPDATE storelock_journal SET value = 99 WHERE name = 'version'`)
  const tables = () => db.prepare('SELECT * FROM sqlite_master').all()
  const before = tables()
  await expect(createHandler(store)).rejects.toMatchObject({
    code: 'store',
    message: expect.stringMatching(/newer storelock \(journal 99, this one knows/),
  })
  expect(tables()).toEqual(before)
})

test('a journal without a version gets one, and keeps its contents', async () => {
  const file = newFile()
  const store = atEnd(sqliteStore(file))
  const first = await createHandler(store)
  await new Client(first, 'a').take('s')
  await first.close()
  const db = atEnd(new Database(file))
  db.exec('DROP TABLE storelock_journal')
  const again = new Client(await handlerOf(store), 'a')
  expect((await again.get<LogReply>('/v1/log')).entries).toMatchObject([{ kind: 'grant', key: 'k' }])
  expect(db.prepare('SELECT count(*) AS rows FROM storelock_journal').get()).toEqual({ rows: 1 })
})

test('a grant and its entry in the log are one transaction', async () => {
  const file = newFile()
  const store = atEnd(sqliteStore(file))
  const db = atEnd(new Database(file))
  const written: unknown[] = []
  const apply: typeof store.apply = async (...asked) => {
    const outcomes = await store.apply(...asked)
    written.push((db.prepare('SELECT count(*) AS count FROM storelock_log').get() as { count: number }).count)
    return outcomes
  }
  const client = new Client(await handlerOf({ ...store, apply }), 'a')
  await client.apply(beat('s'))
  written.length = 0
  const { lockTokens } = await client.apply(request('s'))
  const { token, lockToken } = lockTokens[0] as { token: number; lockToken: string }
  await client.apply({ type: 'release', key: 'k', session: 's', token, lockToken })
  expect(written).toEqual([1, 2])
})
