import { describe, expect, test } from 'vitest'
import { describeEachEngine, eachAfresh } from './engines/each.ts'
import type { Tab } from './engines/engine.ts'
import type {} from './recipes/database-page.ts'
import type { DatabaseOrder } from './recipes/database-worker.ts'

describeEachEngine((engine, name) => {
  eachAfresh(engine)

  const open = (): Promise<Tab> => engine().open(new URL('../recipes/database.html', engine().page).href)
  const order = (tab: Tab, order: DatabaseOrder): Promise<unknown> => tab.evaluate((order) => database.order(order), order)

  // WebKitGTK has no origin private file system.
  describe.runIf(name === 'chromium')('the recipe for a WASM database', () => {
    test('opens it in a second tab as soon as the first tab, which is asked, has closed it', async () => {
      const [first, second] = [await open(), await open()]
      expect(await order(first, 'open')).toBe('open')
      await order(first, { sql: "CREATE TABLE notes (text); INSERT INTO notes VALUES ('first')" })
      expect(await order(second, 'open')).toBe('open')
      expect(await order(second, { sql: 'SELECT text FROM notes' })).toEqual([['first']])
      expect(await order(first, { sql: 'SELECT text FROM notes' })).toBe('closed')
      // And the other way round.
      expect(await order(first, 'open')).toBe('open')
      expect(await order(first, { sql: 'SELECT text FROM notes' })).toEqual([['first']])
    })

    test('opens it in another tab after the first has crashed', async () => {
      const [first, second] = [await open(), await open()]
      await order(first, 'open')
      await order(first, { sql: "CREATE TABLE notes (text); INSERT INTO notes VALUES ('first')" })
      await first.crash()
      expect(await order(second, 'open')).toBe('open')
      expect(await order(second, { sql: 'SELECT text FROM notes' })).toEqual([['first']])
    })

    test('is necessary: a second tab that opens it without the lock is refused', async () => {
      const [first, second] = [await open(), await open()]
      await order(first, 'open')
      expect(await order(second, 'open without the lock')).toBe('NoModificationAllowedError')
    })
  })
})
