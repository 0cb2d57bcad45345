import type { LockState, UseLockOptions } from 'storelock/react'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { eachAfresh, needs } from '../engines/each.ts'
import type { Tab } from '../engines/engine.ts'
import type { Served } from '../engines/index.ts'
import type { Framework } from '../pages/frameworks/frameworks.ts'
import { type FrameworkSite, serveFramework } from '../pages/frameworks/serve.ts'
import { leave, untilKept } from '../tabs/leave.ts'

type Options = Pick<UseLockOptions, 'again' | 'steal' | 'metadata'>

const mount = (page: Tab, options: Options = {}, name = 'l') =>
  page.evaluate(([options, name]) => panel.mount(options, name), [options, name] as const)
const unmount = (page: Tab) => page.evaluate(() => panel.unmount())

/** Waits until the panel shows this. @returns its token, 0 if it shows none */
const shows = (page: Tab, state: LockState['state']) => page.evaluate((state) => panel.shows('state', state), state)

/** How many hold the lock, and how many wait for it. */
const counts = (page: Tab) => page.evaluate(() => panel.counts())

/** Resolves when so many hold the lock and wait for it. */
const standing = (page: Tab, held: number, pending: number): Promise<void> =>
  page.evaluate(
    async ([held, pending]) => {
      for (;;) {
        const now = await panel.counts()
        if (now.held === held && now.pending === pending) return
      }
    },
    [held, pending] as const,
  )

/** What `useLock` does in the tabs of a browser, whichever framework it is in. */
export function frameworkFacts(framework: Framework, engine: () => Served): void {
  eachAfresh(engine)

  let site: FrameworkSite
  const open = async (options?: Options): Promise<Tab> => {
    const page = await engine().open(site.url)
    if (options) await mount(page, options)
    return page
  }

  describe('useLock, in the tabs of a browser', () => {
    beforeAll(async () => {
      site = await serveFramework(framework)
    })
    afterAll(() => site.close())

    test('makes one request, and releases when its component unmounts', async () => {
      const page = await open({})
      await shows(page, 'held')
      expect((await page.evaluate(() => panel.version)).slice(0, framework.version.length)).toBe(framework.version)
      expect(await counts(page)).toEqual({ held: 1, pending: 0 })
      await unmount(page)
      await standing(page, 0, 0)
    })

    test('waits in one tab while the other holds, and holds as soon as that releases', async () => {
      const one = await open({})
      const token = await shows(one, 'held')
      const two = await open({})
      await shows(two, 'waiting')
      await standing(one, 1, 1)
      await unmount(one)
      expect(await shows(two, 'held')).toBeGreaterThan(token)
      await standing(one, 1, 0)
    })

    test('withdraws the wait of a component that unmounts', async () => {
      const one = await open({})
      await shows(one, 'held')
      const two = await open({})
      await standing(one, 1, 1)
      await unmount(two)
      await standing(one, 1, 0)
      await unmount(one)
      await standing(one, 0, 0)
    })

    test('requests the new name when that changes, and releases the old lock', async () => {
      const page = await open({})
      const token = await shows(page, 'held')
      await mount(page, {}, 'other')
      await page.evaluate(async (token) => {
        while ((await panel.shows('state', 'held')) === token);
      }, token)
      expect(await page.evaluate(() => panel.held())).toEqual(['other'])
      await unmount(page)
      await standing(page, 0, 0)
    })

    test.runIf(framework.comparesByValue)('keeps its lock when it is shown again with equal options', async () => {
      const page = await open({ metadata: { address: ['here'] } })
      const token = await shows(page, 'held')
      for (let time = 0; time < 3; time++) await mount(page, { metadata: { address: ['here'] } })
      await page.evaluate(() => new Promise(requestAnimationFrame))
      expect(await shows(page, 'held')).toBe(token)
      await mount(page, { metadata: { address: ['there'] } })
      await page.evaluate(async (token) => {
        while ((await panel.shows('state', 'held')) === token);
      }, token)
    })

    test('tells who leads, in one tab at a time', async () => {
      const [one, two] = [await open(), await open()]
      await mount(one, {}, 'led')
      await one.evaluate(() => panel.shows('leads', 'true'))
      await mount(two, {}, 'led')
      await two.evaluate(() => panel.shows('leads', 'false'))
      await unmount(one)
      await two.evaluate(() => panel.shows('leads', 'true'))
    })

    test('holds after a component has come and gone many times, and nothing is left of those', async () => {
      const page = await open()
      await page.evaluate(async () => {
        for (let time = 0; time < 50; time++) {
          panel.mount({})
          // A task each, so that React shows it, and the wait or the hold is called off in every state it can be in.
          for (let tasks = 0; tasks < time % 10; tasks++) await new Promise((resolve) => setTimeout(resolve))
          panel.unmount()
          await new Promise((resolve) => setTimeout(resolve))
        }
      })
      await standing(page, 0, 0)
      await mount(page)
      await shows(page, 'held')
      expect(await counts(page)).toEqual({ held: 1, pending: 0 })
    })

    test('holds after the tab that held crashed', async ({ skip }) => {
      needs('crash', engine(), skip)
      const one = await open({})
      await shows(one, 'held')
      const two = await open({})
      await standing(two, 1, 1)
      await one.crash()
      await shows(two, 'held')
    })

    test('holds again after its page was reloaded', async () => {
      const page = await open({})
      const token = await shows(page, 'held')
      await page.reload()
      await mount(page)
      expect(await shows(page, 'held')).toBeGreaterThan(token)
    })

    test('is lost when it is stolen, and is requested again when `retry` is called', async () => {
      const one = await open({})
      await shows(one, 'held')
      const two = await open({ steal: true })
      await shows(two, 'held')
      await shows(one, 'lost')
      await one.evaluate(() => panel.click())
      await shows(one, 'waiting')
      await unmount(two)
      await shows(one, 'held')
    })

    describe('of a page in the back/forward cache', () => {
      beforeEach(({ skip }) => needs('cache', engine(), skip))

      /** A page that has the lock is left, and comes back from the cache when another tab has taken the lock. */
      const keptPage = (options: object): Promise<[page: Tab, other: Tab]> =>
        untilKept(async () => {
          const [page, other] = [await open(options), await open()]
          await shows(page, 'held')
          if (await goAndComeBack(page, other)) return [page, other]
          await Promise.all([page.close(), other.close()])
          return undefined
        })

      /** @returns whether it is the same page still */
      async function goAndComeBack(page: Tab, other: Tab): Promise<boolean> {
        await page.evaluate(() => {
          addEventListener('pageshow', ({ persisted }) => {
            globalThis.persisted = persisted
          })
        })
        await leave(page, other)
        await mount(other)
        await shows(other, 'held')
        await page.back()
        return page.evaluate(() => 'persisted' in globalThis && persisted)
      }

      test('shows that it lost the lock when the page comes back', async () => {
        const [page, other] = await keptPage({})
        await shows(page, 'lost')
        expect(await counts(other)).toEqual({ held: 1, pending: 0 })
      })

      test('waits again when the page comes back, where that is wanted', async () => {
        const [page, other] = await keptPage({ again: true })
        await shows(page, 'waiting')
        await standing(other, 1, 1)
        await unmount(other)
        await shows(page, 'held')
      })
    })
  })

  describe.runIf(framework.hot)('a module that is replaced while the page runs', () => {
    beforeAll(async () => {
      site = await serveFramework(framework, true)
    })
    afterAll(() => site.close())

    test('mounts a component that holds, after the old one has released', async () => {
      const page = await open({})
      let token = await shows(page, 'held')
      for (let version = 2; version < 5; version++) {
        await site.reload()
        await page.evaluate((version) => panel.shows('version', version), version)
        const next = await shows(page, 'held')
        expect(next).toBeGreaterThan(token)
        expect(await counts(page)).toEqual({ held: 1, pending: 0 })
        token = next
      }
      await unmount(page)
      await standing(page, 0, 0)
    })
  })
}

declare global {
  /** Whether the page came out of the back/forward cache when it was last shown. */
  var persisted: boolean
}
