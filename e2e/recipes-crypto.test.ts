import { expect, test } from 'vitest'
import { describeEachEngine, eachAfresh } from './engines/each.ts'
import type { Tab } from './engines/engine.ts'
import type {} from './recipes/crypto-page.ts'

describeEachEngine((engine) => {
  eachAfresh(engine)

  const open = (): Promise<Tab> => engine().open(new URL('../recipes/crypto.html', engine().page).href)

  test('a page, its service worker and another page use each key of a ratchet exactly once', async () => {
    const [page, other] = [await open(), await open()]
    await page.evaluate(() => cryptoStore.start())
    const used = await Promise.all([
      page.evaluate(() => cryptoStore.keys('room', 10)),
      page.evaluate(() => cryptoStore.workersKeys('room', 10)),
      other.evaluate(() => cryptoStore.keys('room', 10)),
    ])
    const all = used.flat()
    expect(all.map((key) => Number(key.split(' ')[0])).toSorted((a, b) => a - b)).toEqual([...Array(30).keys()])
    expect(new Set(all.map((key) => key.split(' ')[1])).size).toBe(30)
  })

  test('each caller in one page gets its own key', async () => {
    const page = await open()
    const keys = await page.evaluate(async () => (await Promise.all([1, 2, 3].map(() => cryptoStore.keys('room', 2)))).flat())
    expect(keys.map((key) => Number(key.split(' ')[0])).toSorted()).toEqual([0, 1, 2, 3, 4, 5])
  })
})
