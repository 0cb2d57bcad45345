import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { facts, shapes, trials } from '../test/web-locks/facts.ts'
import { describeEachEngine, eachQuiet, needs } from './engines/each.ts'
import type { EngineName, Tab } from './engines/engine.ts'

/** Facts of the specification that an engine's own locks get wrong. */
const notNative: Record<EngineName, readonly string[]> = {
  chromium: [
    'names: are shown by a query as they are',
    'signal: lets requests through that waited behind the cancelled one',
    // The cached page keeps its lock although another page waits, until there is a new request.
    'a tab that goes to another page releases its lock at once',
  ],
  firefox: [],
  webkit: ['names: may be long', 'signal: one that is already aborted rejects with its reason, and nothing is requested'],
}

describeEachEngine((engine, name) => {
  eachQuiet(engine)

  // The browser's own locks run the same tests, to show that the expectations are right.
  describe.each(['native', 'ours'])('Web Locks, %s', (whose) => {
    const open = (query = whose): Promise<Tab> => engine().open(new URL(`../web-locks/index.html?${query}`, engine().page).href)
    /** Whether a fact must hold. */
    const holds = (fact: string): boolean => whose === 'ours' || !notNative[name].includes(fact)

    /** Stays open for all tests, since some engines open tabs slowly. */
    let page: Tab
    beforeAll(async () => {
      page = await open()
    })
    afterAll(() => engine().reset())

    describe('between a page and a frame', () => {
      const names = [...facts, ...shapes].map(({ name }) => name)

      test.each(names.filter(holds))('%s', async (name) => {
        await page.evaluate((name) => webLocks.check(name), name)
      })

      test('the locks of a removed frame reject with InvalidStateError before any other error, even when the frame is put back', async () => {
        expect(await page.evaluate(() => webLocks.askInRemovedFrame())).toEqual(Array(4).fill('InvalidStateError'))
      })
    })

    test('requests that three frames make in one turn are queued in that order, and so are the requests behind them', async () => {
      for (let trial = 0; trial < trials; trial++)
        expect(await page.evaluate(() => webLocks.askInOrder())).toEqual([
          [0, 1, 2],
          [2, 0, 1],
        ])
    })

    test('a page with an opaque origin gets SecurityError', async () => {
      const sandboxed = await open(`${whose}&sandboxed`)
      expect(await sandboxed.evaluate(() => origin)).toBe('null')
      expect(await sandboxed.evaluate(() => webLocks.refusals())).toEqual(['SecurityError', 'SecurityError'])
    })

    describe('between tabs', () => {
      let holder: Tab
      beforeEach(async () => {
        holder = await open()
      })

      /** Checks that the waiter gets the lock when the holder goes away, long before any lease ends. */
      async function handsOver(leave: () => Promise<unknown>): Promise<void> {
        await page.evaluate(() => webLocks.wait('k'))
        await leave()
        await page.evaluate(() => webLocks.served())
        expect((await page.evaluate(() => webLocks.query())).held).toEqual([])
      }

      const leaves: [string, () => Promise<unknown>][] = [
        ['is closed', () => holder.close()],
        ['is reloaded', () => holder.reload()],
        ['goes to another page', () => holder.navigate('about:blank')],
        ['crashes', () => holder.crash()],
      ]
      test.for(leaves.filter(([how]) => holds(`a tab that ${how} releases its lock at once`)))(
        'a tab that %s releases its lock at once',
        async ([how, leave], { skip }) => {
          if (how === 'crashes') needs('crash', engine(), skip)
          await holder.evaluate(() => webLocks.hold('k'))
          await handsOver(leave)
        },
      )

      test.for<[string, () => Promise<unknown>]>([
        ['is removed', () => holder.evaluate(() => webLocks.removeFrame())],
        ['goes to another page', () => holder.evaluate(() => webLocks.leaveFrame())],
      ])('a frame that %s releases its lock at once', async ([, leave]) => {
        await holder.evaluate(() => webLocks.holdInFrame('k'))
        await handsOver(leave)
      })

      test.for<[string, (tab: Tab) => Promise<unknown>]>([
        ['is removed', (tab) => tab.evaluate(() => webLocks.removeFrame())],
        ['goes to another page', (tab) => tab.evaluate(() => webLocks.leaveFrame())],
      ])('a frame that waits and %s holds up no other waiter', async ([, leave]) => {
        await holder.evaluate(() => webLocks.hold('k'))
        const third = await open()
        await third.evaluate(() => webLocks.waitInFrame('k'))
        await page.evaluate(() => webLocks.wait('k'))
        await leave(third)
        await holder.close()
        await page.evaluate(() => webLocks.served())
      })

      test('a worker that is terminated releases its lock at once', async () => {
        await holder.evaluate(() => webLocks.holdInWorker('k'))
        await handsOver(() => holder.evaluate(() => webLocks.terminateWorker()))
      })

      test.for<[string, () => Promise<unknown>]>([
        ['whose frame is removed', () => holder.evaluate(() => webLocks.removeFrame())],
        ['whose tab is closed', () => holder.close()],
        ['whose tab is reloaded', () => holder.reload()],
      ])('a worker %s releases its lock at once', async ([how, leave]) => {
        if (how === 'whose frame is removed') await holder.evaluate(() => webLocks.holdInWorkerOfFrame('k'))
        else await holder.evaluate(() => webLocks.holdInWorker('k'))
        await handsOver(leave)
      })

      test('a lock that a crashed tab held is free even if no tab waited for it', async ({ skip }) => {
        needs('crash', engine(), skip)
        await holder.evaluate(() => webLocks.hold('k'))
        await holder.crash()
        while ((await page.evaluate(() => webLocks.query())).held?.length);
        expect(await page.evaluate(() => webLocks.isAvailable('k'))).toBe(true)
      })

      test('a tab that is closed while it waits holds up no other waiter', async () => {
        await holder.evaluate(() => webLocks.hold('k'))
        const third = await open()
        await third.evaluate(() => webLocks.wait('k'))
        await handsOver(async () => {
          await third.close()
          await holder.close()
        })
      })

      test('a query shows tabs, frames and workers, each under an id of its own', async () => {
        await holder.evaluate(() => webLocks.hold('tab'))
        await holder.evaluate(() => webLocks.holdInFrame('frame'))
        await holder.evaluate(() => webLocks.holdInWorker('worker'))
        const other = await open()
        await other.evaluate(() => webLocks.hold('other tab'))
        await other.evaluate(() => webLocks.wait('tab'))
        const { held = [], pending = [] } = await page.evaluate(() => webLocks.query())
        expect(held.map(({ name }) => name).sort()).toEqual(['frame', 'other tab', 'tab', 'worker'])
        expect(new Set(held.map(({ clientId }) => clientId)).size).toBe(4)
        expect(pending).toEqual([{ name: 'tab', mode: 'exclusive', clientId: held.find(({ name }) => name === 'other tab')?.clientId }])
      })
    })
  })
})
