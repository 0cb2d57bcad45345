import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { describeEachEngine, eachAfresh } from './engines/each.ts'
import type { Tab } from './engines/engine.ts'
import { type BareSite, serveBare } from './pages/harmless/serve.ts'

let site: BareSite
beforeAll(async () => {
  site = await serveBare(new URL('neighbours/page.ts', import.meta.url))
})
afterAll(() => site.close())

describeEachEngine((engine, name) => {
  eachAfresh(engine)

  const open = async (version?: number): Promise<Tab> => {
    const page = await engine().open(site.url)
    if (version) await page.evaluate((version) => neighbours.declare(version), version)
    return page
  }

  describe('a database of Dexie’s', () => {
    test('is refused if the app passes Dexie’s own object, and the error names db.backendDB()', async () => {
      const page = await open()
      expect(await page.evaluate(() => neighbours.misgive())).toMatch(/^TypeError: .*db\.backendDB\(\) after db\.open\(\)/)
    })

    test('gets the same object stores from Dexie’s declaration as from upgradeIndexedDB, and keeps its data', async () => {
      const page = await open()
      await page.evaluate(() => neighbours.note({ id: 1, text: 'from before' }))
      await page.evaluate(() => neighbours.declare(2))
      const [dexies, ours] = await page.evaluate(() => neighbours.shapes())
      expect(dexies).toEqual(ours)
      expect(await page.evaluate(() => neighbours.notes())).toEqual([{ id: 1, text: 'from before' }])
    })

    test('accepts fenced writes, which Dexie can read', async () => {
      const page = await open(2)
      await page.evaluate(() => neighbours.take())
      expect(await page.evaluate(() => neighbours.write({ id: 1, text: 'held' }))).toBe('written')
      expect(await page.evaluate(() => neighbours.notes())).toEqual([{ id: 1, text: 'held' }])
    })

    test('is closed by Dexie when another tab upgrades it: its locks are lost at once and go to that tab', async () => {
      const [old, young] = [await open(2), await open(3)]
      const token = await old.evaluate(() => neighbours.take())
      const lost = old.evaluate(() => neighbours.lost())
      await young.evaluate(() => neighbours.open())
      expect(await lost).toBe('lost')
      expect(await young.evaluate(() => neighbours.take())).toBeGreaterThan(token)
      expect(await old.evaluate(() => neighbours.write({ id: 2, text: 'too late' }))).not.toBe('written')
      expect(await young.evaluate(() => neighbours.write({ id: 2, text: 'held' }))).toBe('written')
    })
  })

  // RxDB keeps its documents in databases of Dexie's: `npm run test:rxdb`.
  // In WebKitGTK PouchDB never answers, even alone in a page.
  describe.runIf(name !== 'webkit')('PouchDB in the same origin', () => {
    test('works under these locks: tabs that take turns never get a conflict', async () => {
      const pages = [await open(), await open(), await open()]
      const counts = await Promise.all(pages.map((page) => page.evaluate(() => neighbours.count(10))))
      expect(Math.max(...counts)).toBe(30)
    })
  })
})
