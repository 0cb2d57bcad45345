import { describe, expect, test } from 'vitest'
import { describeEachEngine, eachAfresh } from './engines/each.ts'
import type { Tab } from './engines/engine.ts'

describeEachEngine((engine) => {
  eachAfresh(engine)

  const open = (page: string): Promise<Tab> => engine().open(new URL(page, engine().page).href)

  describe('the page of docs/start.md', () => {
    /** Presses the button. Resolves with the count that the page then shows. */
    const press = (tab: Tab): Promise<number> =>
      tab.evaluate(
        () =>
          new Promise<number>((resolve) => {
            const output = document.querySelector('output') as HTMLOutputElement
            new MutationObserver(() => {
              const [, count] = /^the count is (\d+)$/.exec(output.value) ?? []
              if (count) resolve(Number(count))
            }).observe(output, { childList: true, characterData: true, subtree: true })
            document.querySelector('button')?.click()
          }),
      )

    test('counts every click in two tabs', async () => {
      const tabs = [await open('start/index.html'), await open('start/index.html')]
      const counts: number[] = []
      for (let round = 0; round < 2; round++) counts.push(...(await Promise.all(tabs.map(press))))
      expect(counts.sort()).toEqual([1, 2, 3, 4])
    })
  })

  describe('moving from other locks between tabs', () => {
    test.each(['navigator.locks', 'browser-tabs-lock', 'idb-mutex', 'broadcast-channel'].flatMap((name) => [`${name}, before`, `${name}, after`]))(
      '%s: one tab at a time holds the lock',
      async (name) => {
        const tabs = [await open('samples.html'), await open('samples.html')]
        expect(await Promise.all(tabs.map((tab) => tab.evaluate((name) => samples.run(name), name)))).toEqual([1, 1])
      },
    )

    test('navigator.locks: a request that does not wait is refused while the lock is held', async () => {
      const tab = await open('samples.html')
      expect(await tab.evaluate(() => samples.tries())).toEqual([false, true, false, true])
    })
  })
})
