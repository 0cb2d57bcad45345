import { beforeEach, describe, expect, test } from 'vitest'
import { describeEachEngine, eachAfresh, needs } from './engines/each.ts'
import type { Tab } from './engines/engine.ts'
import type { WorkerKind, WorkerPort } from './pages/start-worker.ts'
import type { WorkerOrder } from './pages/worker.ts'
import { leave } from './tabs/leave.ts'
import type { TabStart } from './tabs/tab.ts'
import { aborted, acquire, healthy, lost, openTabs, query, queued, release, stateOf } from './tabs/tabs.ts'

// Channels and beacons between real tabs. The leases are long, and waiting tabs never poll. Times in ms.
const duration = 10_000
const maxBackoff = 60_000

/** Resolves when a page sees `count` waiters for the native lock of this name. */
const watched = (address: string, count: number, page: Tab): Promise<void> =>
  page.evaluate(
    async ([address, count]) => {
      const watchers = async () => (await navigator.locks.query()).pending?.filter(({ name }) => name === address).length
      while ((await watchers()) !== count);
    },
    [address, count] as const,
  )

/** The name of the native lock that is a session's raised beacon. */
const beaconOf = (session: string | undefined, page: Tab): Promise<string> =>
  page.evaluate(async (session) => {
    const { held } = await navigator.locks.query()
    return held?.find(({ name }) => name?.endsWith(` ${session}`))?.name ?? ''
  }, session)

const addressOf = async (page: Tab): Promise<string> => beaconOf(await page.evaluate(() => tab.session()), page)

describeEachEngine((engine) => {
  eachAfresh(engine)

  const several = (count: number, options?: Partial<TabStart>, prepare?: () => void) =>
    openTabs(engine(), count, { duration, maxBackoff, patient: true, ...options }, prepare)
  const pair = async (options?: Partial<TabStart>) => (await several(2, options)) as [Tab, Tab]
  const three = async () => (await several(3)) as [Tab, Tab, Tab]

  describe('a waiting tab that never polls', () => {
    test('is woken by a release, and so is the tab behind it', async () => {
      const [one, two, three] = (await several(3)) as [Tab, Tab, Tab]
      await acquire(one)
      const second = acquire(two)
      await queued(1, one)
      const third = acquire(three)
      await queued(2, one)
      await release(one)
      const { token } = await second
      expect(await stateOf(two)).toEqual(healthy)
      await release(two)
      expect((await third).token).toBeGreaterThan(token)
    })

    test('is woken by a release in the same page, through the same store or another', async () => {
      const [page] = (await several(1)) as [Tab]
      await page.evaluate(async () => {
        const { createLocks, indexedDBStore } = storelock
        const clock = { now: Date.now, monotonic: () => performance.now(), random: Math.random, after: () => () => {} }
        const store = indexedDBStore('locks')
        const all = [store, store, indexedDBStore('locks')].map((store) => createLocks({ store, clock }))
        const held = await all[0]?.acquire('k')
        const waits = all.slice(1).map((locks) => locks.request('k', () => {}))
        while ((await all[0]?.query('k'))?.pending.length !== 2);
        await held?.release()
        await Promise.all(waits)
        await Promise.all(all.map((locks) => locks.close()))
      })
    })

    test('is given a lock that only lingers', async () => {
      const [keeper, asker] = await pair({ linger: 3_600_000 })
      const first = await acquire(keeper)
      await release(keeper)
      expect((await acquire(keeper)).token).toBe(first.token + 1)
      await release(keeper)
      const { token } = await acquire(asker)
      expect(token).toBeGreaterThan(first.token + 1)
    })

    test.for([
      ['crashes', (page: Tab) => page.crash()],
      ['is closed', (page: Tab) => page.close()],
      ['goes to another page', (page: Tab) => page.navigate('about:blank')],
    ] as const)('replaces at once a holder that %s', async ([how, end], { skip }) => {
      if (how === 'crashes') needs('crash', engine(), skip)
      const [holder, waiter] = await pair()
      const { token } = await acquire(holder)
      const wait = acquire(waiter)
      await watched(await addressOf(holder), 1, waiter)
      await end(holder)
      expect((await wait).token).toBeGreaterThan(token)
      expect(await stateOf(waiter)).toEqual(healthy)
    })

    test('is not held up if the tab in front of it dies and then the holder', async ({ skip }) => {
      needs('crash', engine(), skip)
      const [holder, front, last] = await three()
      await acquire(holder)
      acquire(front).catch(() => {})
      await queued(1, holder)
      const wait = acquire(last)
      await watched(await addressOf(front), 1, holder)
      await front.crash()
      await watched(await addressOf(holder), 1, last)
      await holder.crash()
      await wait
    })

    test('is not held up if the tab in front of it dies just when it is granted the lock', async ({ skip }) => {
      needs('crash', engine(), skip)
      const [holder, front, last] = await three()
      await acquire(holder)
      acquire(front).catch(() => {})
      await queued(1, holder)
      const wait = acquire(last)
      await watched(await addressOf(front), 1, holder)
      await Promise.all([front.crash(), release(holder)])
      await wait
    })

    const order = (order: WorkerOrder) => port.order(order)
    const bringIn = (page: Tab, kind: WorkerKind) =>
      page.evaluate((kind) => {
        globalThis.port = storelock.startWorker(kind)
      }, kind)

    test('at once replaces a worker that is terminated, and is woken by a worker that releases', async () => {
      const [home, waiter] = await pair()
      for (const end of ['terminate', 'release'] as const) {
        await bringIn(home, 'dedicated')
        await home.evaluate(order, { type: 'acquire', duration, maxBackoff } as const)
        const wait = acquire(waiter)
        await queued(1, home)
        const [session] = (await query(home)).held.map(({ session }) => session)
        await watched(await beaconOf(session, home), 1, home)
        if (end === 'terminate') await home.evaluate(() => port.terminate())
        else await home.evaluate(order, { type: 'release' } as const)
        await wait
        await release(waiter)
      }
    })

    test('waits for a shared worker as long as one of its tabs is open, and replaces it at once when the last is closed', async () => {
      const [one, other, waiter] = await three()
      await bringIn(one, 'shared')
      await bringIn(other, 'shared')
      await one.evaluate(order, { type: 'acquire', duration, maxBackoff } as const)
      const wait = acquire(waiter)
      await queued(1, waiter)
      const [holder] = (await query(waiter)).held
      await watched(await beaconOf(holder?.session, waiter), 1, waiter)
      await one.close()
      await other.evaluate(order, { type: 'renew' } as const)
      await other.close()
      expect((await wait).token).toBeGreaterThan(holder?.token ?? Infinity)
    })

    test('gets the lock of a tab whose beacon was stolen, and that tab is notified', async () => {
      const [holder, waiter] = await pair()
      await acquire(holder)
      const wait = acquire(waiter)
      const address = await addressOf(holder)
      await watched(address, 1, waiter)
      await waiter.evaluate((name) => navigator.locks.request(name, { steal: true }, () => {}), address)
      await aborted(holder)
      expect(await stateOf(holder)).toEqual(lost)
      await wait
      expect(await addressOf(holder)).not.toBe(address)
    })
  })

  describe('a page without navigator.locks and BroadcastChannel', () => {
    const poor = () =>
      several(2, { patient: false, duration: 3_000, maxBackoff: 100 }, () => {
        Reflect.deleteProperty(Navigator.prototype, 'locks')
        Reflect.deleteProperty(globalThis, 'BroadcastChannel')
      }) as Promise<[Tab, Tab]>

    test('warns once for each, and gets its turn by polling', async () => {
      const [one, two] = await poor()
      for (let turn = 0; turn < 2; turn++) {
        await acquire(one)
        const wait = acquire(two)
        await queued(1, one)
        await release(one)
        await wait
        await release(two)
      }
      const warning = { type: 'warning', warning: 'degraded', code: 'store' }
      for (const page of [one, two]) expect(await page.evaluate(() => tab.news.filter(({ type }) => type === 'warning'))).toEqual([warning, warning])
    })

    test('gets the lock of a tab that crashed', async ({ skip }) => {
      needs('crash', engine(), skip)
      const [one, two] = await poor()
      const { token } = await acquire(one)
      const wait = acquire(two)
      await queued(1, two)
      await one.crash()
      expect((await wait).token).toBeGreaterThan(token)
    })
  })

  describe('the back/forward cache', () => {
    beforeEach(async ({ skip }) => {
      needs('cache', engine(), skip)
      await engine().keepLeftPages()
    })

    /** Counts a page's channels, and records its state when it is shown again. */
    const watch = (): void => {
      globalThis.channels = new Set()
      addEventListener('pagehide', () => {
        globalThis.shown = undefined
      })
      addEventListener('pageshow', ({ persisted }) => {
        globalThis.shown = { persisted, channels: channels.size }
      })
      const { close } = BroadcastChannel.prototype
      globalThis.BroadcastChannel = class extends BroadcastChannel {
        constructor(name: string) {
          super(name)
          channels.add(this)
        }
        override close() {
          channels.delete(this)
          close.call(this)
        }
      }
    }

    /** Goes to another page and comes back. @returns what the page recorded when it was shown again */
    async function goAndComeBack(page: Tab, witness: Tab, meanwhile: () => Promise<unknown>): Promise<unknown> {
      await leave(page, witness)
      await meanwhile()
      await page.back()
      return page.evaluate(() => ('shown' in globalThis ? shown : 'loaded anew'))
    }

    test('keeps a page that held a lock: the page hands the lock over, and takes it again when it comes back', async () => {
      const [page, other] = (await several(2, {}, watch)) as [Tab, Tab]
      const { token } = await acquire(page)
      expect(await page.evaluate(() => channels.size)).toBe(1)
      expect(await goAndComeBack(page, other, () => acquire(other))).toEqual({ persisted: true, channels: 0 })
      expect(await stateOf(page)).toEqual(lost)
      const again = acquire(page)
      await queued(1, other)
      await release(other)
      expect((await again).token).toBeGreaterThan(token)
    })

    test('keeps a page that waits: it holds up no other tab meanwhile, and waits again when it comes back', async () => {
      const [holder, page, last] = (await several(3, {}, watch)) as [Tab, Tab, Tab]
      await acquire(holder)
      const wait = page.evaluate(() => {
        globalThis.wait = tab.acquire('l')
      })
      await wait
      await queued(1, holder)
      const shown = await goAndComeBack(page, holder, async () => {
        await queued(0, holder)
        await release(holder)
        await acquire(last)
      })
      // The engine may drop a cached page at any moment. Such a page held up no other tab, and no longer waits.
      if (shown === 'loaded anew') return expect(await page.evaluate(() => 'wait' in globalThis)).toBe(false)
      expect(shown).toEqual({ persisted: true, channels: 0 })
      await queued(1, last)
      await release(last)
      await page.evaluate(() => globalThis.wait)
      expect(await stateOf(page)).toEqual(healthy)
    })
  })
})

declare global {
  var port: WorkerPort
  var channels: Set<BroadcastChannel>
  /** The page's state when it was last shown. */
  var shown: { readonly persisted: boolean; readonly channels: number } | undefined
  var wait: Promise<unknown>
}
