import { expect, test } from 'vitest'
import { describeEachEngine, eachAfresh } from './engines/each.ts'

describeEachEngine((engine) => {
  eachAfresh(engine)

  const open = () => engine().open(engine().page)

  test('a nested request for the same lock is rejected with `deadlock` if the app chose so, and otherwise causes a warning', async () => {
    const page = await open()
    const said = await page.evaluate(async () => {
      const store = storelock.indexedDBStore('locks')
      const nest = (deadlock: 'warn' | 'reject'): Promise<string> =>
        new Promise((resolve) => {
          const locks = storelock.createLocks({
            ...{ store, duration: 300, maxBackoff: 50, deadlock },
            onWarning: ({ type }) => deadlock === 'warn' && type === 'deadlock' && resolve(type),
          })
          locks
            .request(deadlock, () => locks.request(deadlock, () => {}))
            .catch(async ({ code }) => {
              await locks.close()
              resolve(code)
            })
        })
      return [await nest('warn'), await nest('reject')]
    })
    expect(said).toEqual(['deadlock', 'deadlock'])
  })

  test('a refusal says whether the page holds the lock itself, or another tab', async () => {
    const [page, other] = [await open(), await open()]
    const heldBy = (tab: typeof page): Promise<string> =>
      tab.evaluate(async () => {
        globalThis.waits ??= storelock.createLocks({ store: storelock.indexedDBStore('locks'), maxBackoff: 50 })
        return await (waits as NonNullable<typeof waits>).acquire('k', { timeout: 0 }).then(
          () => 'granted',
          ({ code, heldBy }) => `${code}: ${heldBy}`,
        )
      })
    expect(await heldBy(page)).toBe('granted')
    expect(await heldBy(page)).toBe('held: session')
    expect(await heldBy(other)).toBe('held: other')
  })
})

declare global {
  var waits: import('../src/index.ts').Locks | undefined
}
