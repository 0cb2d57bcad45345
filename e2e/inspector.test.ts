import { describe, expect, test } from 'vitest'
import { describeEachEngine, eachAfresh } from './engines/each.ts'
import type { Tab } from './engines/engine.ts'

describeEachEngine((engine) => {
  eachAfresh(engine)

  async function open(label: string, observes = false): Promise<Tab> {
    const tab = await engine().open(engine().page.replace('index.html', 'inspector.html'))
    await tab.evaluate(([label, observes]) => inspected.open(label, observes), [label, observes] as const)
    return tab
  }
  const shows = (tab: Tab, text: string, isThere = true): Promise<void> =>
    tab.evaluate(([text, isThere]) => inspected.shows(text, isThere), [text, isThere] as const)

  describe('the inspector of a page, under a policy that allows no inline code or style and has Trusted Types', () => {
    test('shows the holder of a lock and the waiter in another tab, with label, token, metadata and beat', async () => {
      const [one, two] = [await open('tab one'), await open('tab two')]
      await shows(one, 'No locks are held or waited for')
      const token = await one.evaluate(() => inspected.take('sync', { port: 7 }))
      await two.evaluate(() => inspected.want('sync'))
      for (const tab of [one, two]) {
        for (const text of ['sync', 'held, 1 waiting', 'tab one', `exclusive, token ${token}`, 'metadata {"port":7}', 'tab two'])
          await shows(tab, text)
        expect(await tab.evaluate(() => inspected.text())).toMatch(/held for .*, renewed .* ago, ends in .* unless renewed/)
      }
      expect(await two.evaluate(() => inspected.violations)).toEqual([])
    })

    test('lists events between two looks, in other tabs too', async () => {
      const [one, two] = [await open('tab one'), await open('tab two')]
      await shows(two, 'No locks are held or waited for')
      await one.evaluate(() => inspected.take('sync'))
      await shows(two, 'sync: held, tab one')
      await one.evaluate(() => inspected.release('sync'))
      await shows(two, 'sync: released, tab one')
      await shows(two, 'No locks are held or waited for')
    })

    test('lists every event of the page’s own locks, if it observes them', async () => {
      const one = await open('tab one', true)
      const token = await one.evaluate(async () => {
        const token = await inspected.take('brief')
        await inspected.release('brief')
        return token
      })
      await shows(one, `brief: granted, this session, token ${token}`)
      await shows(one, `brief: released, this session, token ${token}`)
    })

    test('draws a cycle of two tabs that wait for each other, until one of them releases', async () => {
      const [one, two] = [await open('tab one'), await open('tab two')]
      await one.evaluate(() => inspected.take('a'))
      await two.evaluate(() => inspected.take('b'))
      await one.evaluate(() => inspected.want('b'))
      await shows(one, 'Cycle of waits', false)
      await two.evaluate(() => inspected.want('a'))
      for (const tab of [one, two]) await shows(tab, 'Cycle of waits')
      const [drawn, ...others] = await one.evaluate(() => inspected.drawn())
      expect(others).toEqual([])
      expect(drawn).toContain('tab one waits for "b", which tab two holds')
      expect(drawn).toContain('tab two waits for "a", which tab one holds')
      await one.evaluate(() => inspected.release('a'))
      for (const tab of [one, two]) await shows(tab, 'Cycle of waits', false)
    })

    test('draws a cycle with one member for a page that waits for its own lock', async () => {
      const one = await open('tab one')
      await one.evaluate(() => inspected.take('a'))
      await one.evaluate(() => inspected.want('a'))
      await shows(one, 'Cycle of waits')
      expect(await one.evaluate(() => inspected.drawn())).toEqual(['tab one waits for "a", which it holds itself'])
    })

    test('shows hostile names, labels and metadata as text, with bidi and control characters escaped', async () => {
      const hostile = '<img src=x onerror=alert(1)>\u202egpj.exe\u0007'
      const one = await open(hostile)
      await one.evaluate((hostile) => inspected.take(hostile, { [hostile]: hostile }), hostile)
      await one.evaluate((hostile) => inspected.want(hostile), hostile)
      await shows(one, 'Cycle of waits')
      const text = await one.evaluate(() => inspected.text())
      expect(text).toContain('<img src=x onerror=alert(1)>\\u202egpj.exe\\u0007')
      for (const character of ['\u202e', '\u0007']) expect(text).not.toContain(character)
      expect(await one.evaluate(() => inspected.count('img'))).toBe(0)
      expect(await one.evaluate(() => inspected.violations)).toEqual([])
    })

    test('stops looking once it is removed', async () => {
      const one = await open('tab one')
      await shows(one, 'No locks are held or waited for')
      expect(await one.evaluate(() => inspected.looksOnceRemoved())).toBe(false)
    })
  })
})
