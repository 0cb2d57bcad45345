import { expect, test } from 'vitest'
import { describeEachEngine, eachAfresh } from './engines/each.ts'

describeEachEngine((engine) => {
  eachAfresh(engine)

  test('a warning without a listener appears on the console once, and a silenced one does not', async () => {
    const page = await engine().open(engine().page)
    const shown = await page.evaluate(async () => {
      const store = storelock.indexedDBStore('locks')
      const shown: string[] = []
      console.warn = (text) => shown.push(text)
      /** Requests a lock within its own callback, for two locks. Each nested request causes a warning and is rejected. */
      const nest = async (name: string, onWarning?: () => void): Promise<void> => {
        const locks = storelock.createLocks({ store, duration: 300, maxBackoff: 50, deadlock: 'reject', onWarning })
        for (const each of [name, `${name} again`]) await locks.request(each, () => locks.request(each, () => {})).catch(() => {})
        await locks.close()
      }
      await nest('silenced', () => {})
      await nest('heard')
      return shown.filter((text) => text.includes('deadlock'))
    })
    expect(shown).toEqual([expect.stringMatching(/^storelock: deadlock warning \(heard\): .*onWarning\(\) \{\} silences them\.$/)])
  })
})
