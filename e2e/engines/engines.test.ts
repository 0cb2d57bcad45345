import { expect, test } from 'vitest'
import { describeEachEngine, eachAfresh, needs } from './each.ts'

describeEachEngine((engine) => {
  eachAfresh(engine)

  const pair = async () => [await engine().open(engine().page), await engine().open(engine().page)] as const

  test('a page has everything that the library needs, and the test records which optional features it lacks', async ({ task }) => {
    const tab = await engine().open(engine().page)
    const { needed, lacks } = await tab.evaluate(async () => {
      const db = await storelock.openDB('features', 1, { upgrade: (db) => void db.createObjectStore('notes') })
      const { durability } = db.transaction('notes', 'readwrite', { durability: 'strict' })
      const lacking = (features: object) =>
        Object.entries(features)
          .filter(([, here]) => !here)
          .map(([name]) => name)
      return {
        needed: lacking({ crypto: crypto.randomUUID, abort: AbortSignal.prototype.throwIfAborted, commit: IDBTransaction.prototype.commit }),
        lacks: lacking({
          '`navigator.locks`': navigator.locks,
          '`BroadcastChannel`': globalThis.BroadcastChannel,
          '`SharedWorker`': globalThis.SharedWorker,
          '`durability: strict`': durability === 'strict',
          'the events `freeze` and `resume`': 'onfreeze' in document,
          '`Symbol.asyncDispose`': Symbol.asyncDispose,
        }),
      }
    })
    expect(needed).toEqual([])
    task.meta.about = { version: engine().version, lacks }
  })

  test('two tabs share IndexedDB', async () => {
    const [one, other] = await pair()
    await one.evaluate(async (text) => {
      const db = await storelock.openDB('shared', 1, { upgrade: (db) => void db.createObjectStore('notes') })
      await db.put('notes', text, 'note')
    }, 'written by one')
    expect(await other.evaluate(async () => (await storelock.openDB('shared', 1)).get('notes', 'note'))).toBe('written by one')
  })

  test('two tabs share BroadcastChannel', async () => {
    const [one, other] = await pair()
    await other.evaluate(() => {
      const heard = new Promise((resolve) => {
        new BroadcastChannel('shared').onmessage = ({ data }) => resolve(data)
      })
      Object.assign(globalThis, { heard })
    })
    await one.evaluate(() => new BroadcastChannel('shared').postMessage('said by one'))
    expect(await other.evaluate(() => (globalThis as { heard?: Promise<string> }).heard)).toBe('said by one')
  })

  test('two tabs share navigator.locks, and a closed tab is gone', async () => {
    const [holder, waiter] = await pair()
    await holder.evaluate(() => new Promise<void>((resolve) => void navigator.locks.request('shared', () => new Promise(() => resolve()))))
    expect(await waiter.evaluate(() => navigator.locks.request('shared', { ifAvailable: true }, (lock) => lock === null))).toBe(true)
    const wait = waiter.evaluate(() => navigator.locks.request('shared', () => 'granted'))
    await holder.close()
    expect(await wait).toBe('granted')
    await expect(holder.evaluate(() => 0)).rejects.toThrow()
  })

  test('a tab that crashed is gone', async ({ skip }) => {
    needs('crash', engine(), skip)
    const [holder, waiter] = await pair()
    await holder.evaluate(() => new Promise<void>((resolve) => void navigator.locks.request('shared', () => new Promise(() => resolve()))))
    const wait = waiter.evaluate(() => navigator.locks.request('shared', () => 'granted'))
    await holder.crash()
    expect(await wait).toBe('granted')
  })

  test('a tab goes to another page, back, and reloads', async () => {
    const { page, open } = engine()
    const tab = await open(page)
    const where = () => tab.evaluate(() => location.search)
    await tab.navigate(`${page}?other`)
    expect(await where()).toBe('?other')
    await tab.back()
    expect(await where()).toBe('')
    await tab.evaluate(() => Object.assign(globalThis, { old: true }) && null)
    await tab.reload()
    expect(await tab.evaluate(() => 'old' in globalThis)).toBe(false)
  })

  test('a page that releases its Web Lock when it is left goes into the back/forward cache, or the engine is known not to keep it', async () => {
    await engine().keepLeftPages()
    const tab = await engine().open(engine().page)
    await tab.evaluate(
      () =>
        new Promise<void>((resolve) => {
          addEventListener('pageshow', ({ persisted }) => Object.assign(globalThis, { persisted }))
          const held = (): Promise<void> =>
            new Promise((letGo) => {
              addEventListener('pagehide', () => letGo())
              resolve()
            })
          navigator.locks.request('held', held)
        }),
    )
    await tab.navigate('about:blank')
    await tab.back()
    expect(await tab.evaluate(() => 'persisted' in globalThis)).toBe(engine().cannot.cache === undefined)
  })

  test('both tabs are visible, and one answers while the other is busy', async () => {
    const [one, other] = await pair()
    expect(await one.evaluate(() => document.visibilityState)).toBe('visible')
    expect(await other.evaluate(() => document.visibilityState)).toBe('visible')
    const ended: string[] = []
    const never = one.evaluate(() => new Promise((resolve) => Object.assign(globalThis, { resolve }))).then(() => ended.push('one'))
    await other.evaluate(() => 0)
    ended.push('other')
    await one.evaluate(() => (globalThis as { resolve?: () => void }).resolve?.())
    await never
    expect(ended).toEqual(['other', 'one'])
  })

  test('an error that a function throws in a page arrives with its name, message and code', async () => {
    const tab = await engine().open(engine().page)
    const thrown = tab.evaluate(() => {
      throw Object.assign(new RangeError('too far'), { code: 'far' })
    })
    await expect(thrown).rejects.toMatchObject({ name: 'RangeError', message: 'too far', code: 'far' })
  })

  test('uncaught errors of a page are reported', async ({ skip }) => {
    needs('errors', engine(), skip)
    const tab = await engine().open(engine().page)
    await tab.evaluate(
      () =>
        new Promise((resolve) => {
          addEventListener('unhandledrejection', () => setTimeout(resolve))
          Promise.reject(new Error('nobody caught this'))
        }),
    )
    await expect.poll(() => engine().errors.splice(0).join()).toContain('nobody caught this')
  })

  test('after a reset nothing is stored', async () => {
    const [one] = await pair()
    const databases = async () => (await indexedDB.databases()).length
    await one.evaluate(() => storelock.openDB('shared', 1).then(() => null))
    expect(await one.evaluate(databases)).toBe(1)
    await engine().reset()
    const [fresh] = await pair()
    expect(await fresh.evaluate(databases)).toBe(0)
  })
})
