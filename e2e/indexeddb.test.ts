import { memoryStore } from 'storelock/stores/memory'
import { storeSuite } from 'storelock/testing'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Command, Fenced } from '../src/protocol/index.ts'
import type { IndexedDBStore } from '../src/stores/indexeddb.ts'
import { describeEachEngine, eachAfresh, needs } from './engines/each.ts'
import type { Tab } from './engines/engine.ts'
import type { PlaceKind } from './pages/suite.ts'

const beat = (session: string): Command => ({ type: 'beat', session, client: 'c', lease: 1_000, opens: true })
const request = (session: string, number = 1): Command => ({
  ...{ type: 'request', key: 'k', session, client: 'c', number, mode: 'exclusive', confirm: 500 },
})

const apply = (page: Tab, ...commands: unknown[]): Promise<unknown> =>
  page.evaluate((commands): Promise<unknown> => here.store.apply(commands as Command[]), commands)

/** Reads the key `k`. @returns the record, or the error as `{ code, message, cause }`, where `cause` is a name */
const read = (page: Tab): Promise<unknown> =>
  page.evaluate(
    (): Promise<unknown> =>
      here.store.read('k').catch((error) => ({ code: error.code as string, message: String(error.message), cause: String(error.cause?.name) })),
  )

describeEachEngine((engine) => {
  const open = () => engine().open(engine().page)

  describe.each<[string, PlaceKind]>([
    ['a database of its own', 'own'],
    ['a user’s database', 'user'],
  ])('an IndexedDB store in %s', (_, kind) => {
    let page: Tab

    beforeAll(async () => {
      page = await open()
    })

    for (const { name } of storeSuite(() => ({ open: () => memoryStore() }))) {
      test(name, () => page.evaluate(([kind, name]) => storelock.runFact(kind, name), [kind, name] as const))
    }
  })

  describe('IndexedDB between tabs', () => {
    eachAfresh(engine)

    /** Opens a tab whose `here.store` is a store on the database `locks`. */
    async function openTab(): Promise<Tab> {
      const page = await open()
      await page.evaluate(() => {
        globalThis.here = { store: storelock.indexedDBStore('locks') }
      })
      return page
    }

    describe('two tabs on one database', () => {
      test('see each other’s writes', async () => {
        const [one, two] = await Promise.all([openTab(), openTab()])
        await apply(one, beat('a'), request('a'))
        expect(await read(two)).toMatchObject({ holders: [{ session: 'a' }] })
        expect(await apply(two, beat('b'), request('b'))).toMatchObject([{ type: 'beaten' }, { type: 'queued' }])
        expect(await read(one)).toMatchObject({ queue: [{ session: 'b' }] })
      })

      test('never both hold a lock', async () => {
        const pages = await Promise.all([openTab(), openTab(), openTab()])
        const turns = 50
        // Reads a counter in one transaction and writes it in another: if two hold at once, a count is lost.
        await pages[0]?.evaluate(() => storelock.openDB('count', 1, { upgrade: (db) => void db.createObjectStore('count').put(0, 0) }))
        const count = async ([session, turns]: readonly [string, number]) => {
          const db = await storelock.openDB('count')
          const claim = { key: 'k', session, client: 'c' }
          await here.store.apply([{ type: 'beat', session, client: 'c', lease: 1_000, opens: true }])
          for (let number = 1; number <= turns; ) {
            const [outcome] = await here.store.apply([{ ...claim, type: 'request', number, mode: 'exclusive', confirm: 500, ifAvailable: true }])
            if (outcome?.type !== 'granted') continue
            await db.put('count', (await db.get('count', 0)) + 1, 0)
            await here.store.apply([{ ...claim, type: 'release', token: outcome.holder.token }])
            number += 1
          }
          return db.get('count', 0)
        }
        const counts = await Promise.all(pages.map((page, index) => page.evaluate(count, [`tab ${index}`, turns] as const)))
        expect(Math.max(...counts)).toBe(pages.length * turns)
      })

      test('go on when one of them crashes', async ({ skip }) => {
        needs('crash', engine(), skip)
        const [one, two] = await Promise.all([openTab(), openTab()])
        await apply(one, beat('a'), request('a'))
        await one.crash()
        expect(await apply(two, beat('b'), request('b'))).toMatchObject([{ type: 'beaten' }, { type: 'queued' }])
        expect(await read(two)).toMatchObject({ holders: [{ session: 'a' }], queue: [{ session: 'b' }] })
      })
    })

    describe('J6: the fence, between two tabs', () => {
      /** Opens a tab with the user's own database and a lock object that always believes that it is held. */
      async function openHolder(): Promise<Tab> {
        const page = await open()
        await page.evaluate(async () => {
          const db = await storelock.openDB('users', 1, {
            upgrade(db) {
              db.createObjectStore('notes')
              storelock.upgradeIndexedDB(db)
            },
          })
          const store = storelock.indexedDBStore(db)
          const session = crypto.randomUUID()
          const [, granted] = await store.apply([
            { type: 'beat', session, client: 'c', lease: 1_000, opens: true },
            { type: 'request', key: 'k', session, client: 'c', number: 1, mode: 'exclusive', confirm: 500, steal: true },
          ])
          const token = granted?.type === 'granted' ? granted.holder.token : 0
          const lock = { name: 'k', key: 'k', session, token, assertHeld() {} }
          globalThis.holder = { db, store, lock }
        })
        return page
      }

      const notes = (page: Tab): Promise<string[]> => page.evaluate(() => holder.db.getAll('notes'))

      test('refuses the tab whose lock was stolen, and lets the other one write', async () => {
        const one = await openHolder()
        const two = await openHolder()
        const write = (text: string): Promise<string> =>
          holder.store
            .transaction(holder.lock, ['notes'], (tx) => tx.objectStore('notes').put(text, text))
            .then(
              () => 'written',
              (error) => error.code,
            )
        expect(await one.evaluate(write, 'robbed')).toBe('lost')
        expect(await two.evaluate(write, 'holder')).toBe('written')
        expect(await notes(one)).toEqual(['holder'])
      })

      test('still holds if commit() is called before the check has passed', async () => {
        const one = await openHolder()
        const two = await openHolder()
        const write = async (text: string): Promise<string> => {
          const tx = holder.db.transaction(['notes', storelock.fenceStore], 'readwrite')
          holder.store.check(tx, holder.lock)
          tx.objectStore('notes')
            .put(text, text)
            .catch(() => {})
          tx.commit()
          return tx.done.then(
            () => 'written',
            () => 'undone',
          )
        }
        expect(await one.evaluate(write, 'robbed')).toBe('undone')
        expect(await two.evaluate(write, 'holder')).toBe('written')
        expect(await notes(one)).toEqual(['holder'])
      })

      test('keeps another tab from taking the lock while a transaction lasts', async () => {
        const one = await openHolder()
        const two = await open()
        await two.evaluate(async () => {
          const db = await storelock.openDB('users')
          const store = storelock.indexedDBStore(db)
          await store.apply([{ type: 'beat', session: 'two', client: 'c', lease: 1_000, opens: true }])
          globalThis.holder = { db, store, lock: { name: 'k', key: 'k', session: 'two', token: 0, assertHeld() {} } }
        })
        // A transaction that goes on until the test ends it.
        await one.evaluate(() => {
          globalThis.long = { over: false, done: undefined }
          long.done = holder.store.transaction(holder.lock, ['notes'], async (tx) => {
            while (!long.over) await tx.objectStore('notes').put('long', '1')
          })
        })
        const stolen = await two.evaluate(() => {
          const steal = { type: 'request', key: 'k', session: 'two', client: 'c', number: 1, mode: 'exclusive', confirm: 500, steal: true } as const
          const stealing = holder.store.apply([steal]).then(() => 'stolen')
          globalThis.long = { over: false, done: stealing }
          // If the steal could go through, it would do so long before two other databases are opened.
          return Promise.race([
            stealing,
            storelock
              .openDB('another')
              .then(() => storelock.openDB('yet another'))
              .then(() => 'waiting'),
          ])
        })
        expect(stolen).toBe('waiting')
        await one.evaluate(() => {
          long.over = true
          return long.done
        })
        expect(await two.evaluate(() => long.done)).toBe('stolen')
      })
    })

    describe('a database of the store’s own', () => {
      test('can be deleted by another tab while it is in use, and starts afresh', async () => {
        const [one, two] = await Promise.all([openTab(), openTab()])
        await apply(one, beat('a'), request('a'))
        const blocked = await two.evaluate(async () => {
          let blocked = false
          await storelock.deleteDB('locks', {
            blocked() {
              blocked = true
            },
          })
          return blocked
        })
        expect(blocked).toBe(false)
        expect(await read(one)).toBeUndefined()
        expect(await apply(one, beat('a'), request('a'))).toMatchObject([{ type: 'beaten' }, { type: 'granted' }])
        expect(await read(two)).toMatchObject({ holders: [{ session: 'a' }] })
      })

      test('survives the clearing of the site’s data', async () => {
        const page = await openTab()
        await apply(page, beat('a'), request('a'))
        await page.evaluate(async () => {
          await fetch('/clear-site-data')
          // Chromium never answers a call that was under way when it cleared the storage, so this asks again.
          const left = () =>
            Promise.race([indexedDB.databases().then((all) => all.length), new Promise((resolve) => setTimeout(resolve, 100, 'unanswered'))])
          while (await left());
        })
        expect(await apply(page, beat('a'), request('a'))).toMatchObject([{ type: 'beaten' }, { type: 'granted' }])
        expect(await read(page)).toMatchObject({ holders: [{ session: 'a' }] })
      })

      test('that another tab upgrades to a newer version is closed and left unchanged, and the error says to update storelock', async () => {
        const [one, two] = await Promise.all([openTab(), openTab()])
        await apply(one, beat('a'), request('a'))
        const blocked = await two.evaluate(async () => {
          let blocked = false
          const db = await storelock.openDB('locks', 2, {
            blocked() {
              blocked = true
            },
          })
          db.close()
          return blocked
        })
        expect(blocked).toBe(false)
        expect(await read(one)).toMatchObject({
          code: 'store',
          message: expect.stringMatching(/"locks".*newer.*update storelock/),
          cause: 'VersionError',
        })
        const record = await two.evaluate(async () => (await storelock.openDB('locks')).get('storelock-records', 'k'))
        expect(record).toBeTypeOf('string')
      })
    })

    describe('a user’s own database', () => {
      test('is prepared by one line in its upgrade callback, and can be upgraded while locks are in use', async () => {
        const page = await open()
        const result = await page.evaluate(async () => {
          const { openDB, upgradeIndexedDB, indexedDBStore } = storelock
          const first = await openDB('app', 1, { upgrade: (db) => void db.createObjectStore('notes') })
          await first.put('notes', 'mine', 1)
          const refusal = await indexedDBStore(first)
            .read('k')
            .catch((error) => `${error.code}: ${error.message}`)
          first.close()

          const second = await openDB('app', 2, { upgrade: (db) => upgradeIndexedDB(db), blocking: () => second.close() })
          await indexedDBStore(second).apply([{ type: 'beat', session: 'a', client: 'c', lease: 1_000, opens: true }])
          let blocked = false
          const third = await openDB('app', 3, {
            upgrade: (db) => upgradeIndexedDB(db),
            blocked() {
              blocked = true
            },
          })
          const outcomes = await indexedDBStore(third).apply([{ type: 'beat', session: 'a', client: 'c', lease: 1_000 }])
          return { refusal, blocked, note: await third.get('notes', 1), outcome: outcomes[0]?.type }
        })
        expect(result).toEqual({
          refusal: expect.stringMatching(/^store: .*"app".*upgradeIndexedDB\(db\)/),
          blocked: false,
          note: 'mine',
          outcome: 'beaten',
        })
      })
    })

    describe('the contents of the database', () => {
      const put = (page: Tab, objectStore: string, key: string, row: unknown) =>
        page.evaluate(async ([objectStore, key, row]) => void (await (await storelock.openDB('locks')).put(`storelock-${objectStore}`, row, key)), [
          objectStore,
          key,
          row,
        ] as const)

      test('that belong to a newer version cause an error that names it, and are left unchanged', async () => {
        const [one, two] = await Promise.all([openTab(), openTab()])
        await apply(one, beat('a'), request('a'))
        await put(one, 'meta', 'version', 99)
        expect(await read(two)).toMatchObject({ code: 'store', message: expect.stringMatching(/"locks".*99/) })
      })

      test('J12: that are corrupt cause an error that names the key, and are left unchanged; other keys still work', async () => {
        const page = await openTab()
        await apply(page, beat('a'), request('a'))
        await put(page, 'records', 'k', 'rubbish')
        const outcomes = await apply(page, request('a', 2), { ...request('a', 3), key: 'other' })
        expect(outcomes).toMatchObject([{ type: 'failed', code: 'corrupt', message: expect.stringContaining('"k"') }, { type: 'granted' }])
        expect(await read(page)).toMatchObject({ code: 'corrupt', message: expect.stringContaining('"k"') })
        expect(await page.evaluate(async () => (await storelock.openDB('locks')).get('storelock-records', 'k'))).toBe('rubbish')
      })
    })

    describe('an origin whose quota is used up', () => {
      test('fails the command with a clear error, and loses no data', async ({ skip }) => {
        needs('quota', engine(), skip)
        const page = await openTab()
        await page.limitQuota(200_000)
        await apply(page, beat('a'), request('a'))
        const full = await page.evaluate(
          (): Promise<unknown> =>
            here.store
              .apply([{ type: 'pin', key: 'k', entity: 'x'.repeat(1_000_000) }])
              .then(() => 'done')
              .catch((error) => ({ code: error.code, message: error.message, cause: error.cause?.name })),
        )
        expect(full).toEqual({ code: 'store', message: expect.stringContaining('quota'), cause: 'QuotaExceededError' })
        expect(await read(page)).toMatchObject({ holders: [{ session: 'a' }], pins: [] })
        await page.limitQuota()
        expect(await apply(page, request('a', 2))).toMatchObject([{ type: 'queued' }])
      })
    })
  })
})

/** The values that a test's steps in a page share, as `window.here`. */
interface Here {
  store: ReturnType<typeof storelock.indexedDBStore>
}

/** The values that the tests of the fence share in a page. */
interface Holder {
  db: Awaited<ReturnType<typeof storelock.openDB>>
  store: IndexedDBStore<Holder['db']>
  lock: Fenced
}

declare global {
  var here: Here
  var holder: Holder
  var long: { over: boolean; done: Promise<unknown> | undefined }
}
