import { describe, expect, test } from 'vitest'
import { describeEachEngine, eachAfresh } from './engines/each.ts'
import type { Tab } from './engines/engine.ts'

describeEachEngine((engine) => {
  eachAfresh(engine)

  const open = (page: string): Promise<Tab> => engine().open(new URL(page, engine().page).href)

  describe('the page of docs/start.md', () => {
    /** Presses the button, and resolves with the count that the page shows then. */
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

    test('loses no click of two tabs', async () => {
      const tabs = [await open('start/index.html'), await open('start/index.html')]
      const counts: number[] = []
      for (let round = 0; round < 2; round++) counts.push(...(await Promise.all(tabs.map(press))))
      expect(counts.sort()).toEqual([1, 2, 3, 4])
    })
  })

  describe('moving from other locks between tabs', () => {
    test.each(['navigator.locks', 'browser-tabs-lock', 'idb-mutex', 'broadcast-channel'].flatMap((name) => [`${name}, before`, `${name}, after`]))(
      '%s: one tab at a time has it',
      async (name) => {
        const tabs = [await open('samples.html'), await open('samples.html')]
        expect(await Promise.all(tabs.map((tab) => tab.evaluate((name) => samples.run(name), name)))).toEqual([1, 1])
      },
    )

    test('navigator.locks: what is asked for without waiting is refused while it is held', async () => {
      const tab = await open('samples.html')
      expect(await tab.evaluate(() => samples.tries())).toEqual([false, true, false, true])
    })
  })
})
