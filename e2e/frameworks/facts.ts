import type { LockState, UseLockOptions } from 'storelock/react'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { eachAfresh, needs } from '../engines/each.ts'
import type { Tab } from '../engines/engine.ts'
import type { Served } from '../engines/index.ts'
import type { Framework } from '../pages/frameworks/frameworks.ts'
import { type HotSite, serveFramework, serveHot } from '../pages/frameworks/serve.ts'
import type { Site } from '../pages/serve.ts'
import { leave, untilKept } from '../tabs/leave.ts'

type Options = Pick<UseLockOptions, 'again' | 'steal' | 'metadata'>

const mount = (page: Tab, options: Options = {}, name = 'l') =>
  page.evaluate(([options, name]) => panel.mount(options, name), [options, name] as const)
const unmount = (page: Tab) => page.evaluate(() => panel.unmount())

/** Waits until the panel shows this state. @returns the token that it shows, or 0 */
const shows = (page: Tab, state: LockState['state']) => page.evaluate((state) => panel.shows('state', state), state)

/** The number of holders and of waiters. */
const counts = (page: Tab) => page.evaluate(() => panel.counts())

/** Resolves when the lock has this number of holders and of waiters. */
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

/** Tests of `useLock` in the tabs of a browser, the same for each framework. */
export function frameworkFacts(framework: Framework, engine: () => Served): void {
  eachAfresh(engine)

  let site: Site
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

    test('waits in one tab while another holds the lock, and holds it as soon as that tab releases', async () => {
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

    test('requests the new lock when the name changes, and releases the old one', async () => {
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

    test.runIf(framework.comparesByValue)('keeps its lock when it renders again with equal options', async () => {
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

    test('shows one leader at a time among the tabs', async () => {
      const [one, two] = [await open(), await open()]
      await mount(one, {}, 'led')
      await one.evaluate(() => panel.shows('leads', 'true'))
      await mount(two, {}, 'led')
      await two.evaluate(() => panel.shows('leads', 'false'))
      await unmount(one)
      await two.evaluate(() => panel.shows('leads', 'true'))
    })

    test('holds after a component was mounted and unmounted many times, and no request is left behind', async () => {
      const page = await open()
      await page.evaluate(async () => {
        for (let time = 0; time < 50; time++) {
          panel.mount({})
          // Waits a different number of tasks each time, so that the component unmounts in every state that its request can be in.
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

    test('holds after the tab that held the lock has crashed', async ({ skip }) => {
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

    describe('in a page from the back/forward cache', () => {
      beforeEach(async ({ skip }) => {
        needs('cache', engine(), skip)
        await engine().keepLeftPages()
      })

      /** Leaves a page that holds the lock, and brings it back from the cache after another tab has taken the lock. */
      const keptPage = (options: object): Promise<[page: Tab, other: Tab]> =>
        untilKept(async () => {
          const [page, other] = [await open(options), await open()]
          await shows(page, 'held')
          if (await goAndComeBack(page, other)) return [page, other]
          await Promise.all([page.close(), other.close()])
          return undefined
        })

      /** @returns whether the page came from the cache */
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

      test('waits again when the page comes back, if its options say so', async () => {
        const [page, other] = await keptPage({ again: true })
        await shows(page, 'waiting')
        await standing(other, 1, 1)
        await unmount(other)
        await shows(page, 'held')
      })
    })
  })

  const { hot } = framework
  if (!hot) return

  describe('a module that is replaced while the page runs', () => {
    let hotSite: HotSite
    beforeAll(async () => {
      site = hotSite = await serveHot({ ...framework, hot })
    })
    afterAll(() => site.close())

    test('mounts a new component, which holds the lock after the old one has released it', async () => {
      const page = await open({})
      let token = await shows(page, 'held')
      for (let version = 2; version < 5; version++) {
        await hotSite.reload()
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
