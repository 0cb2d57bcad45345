import type { BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startTabs, type Tabs } from './pages/tabs.ts'
import type { WorkerOrder } from './pages/worker.ts'
import { makeTab, type TabNews, type TabStart } from './tabs/tab.ts'

// What a channel and beacons do between real tabs. The leases are long, and tabs that wait never look by themselves. Times in ms.
const duration = 10_000
const maxBackoff = 60_000

let browser: Tabs
let context: BrowserContext
let news: TabNews[]
let hear: () => void

beforeAll(async () => {
  // Playwright turns the back/forward cache off.
  browser = await startTabs({ ignoreDefaultArgs: ['--disable-back-forward-cache'] })
})

afterAll(() => browser.close())

beforeEach(async () => {
  news = []
  hear = () => {}
  context = await browser.newContext()
  await context.exposeFunction('tell', (told: TabNews) => {
    news.push(told)
    hear()
  })
})

afterEach(async () => {
  await context.close()
  expect(browser.errors.splice(0)).toEqual([])
})

const several = async (count: number, options?: Partial<TabStart>): Promise<Page[]> => {
  const pages: Page[] = []
  for (let index = 1; index <= count; index++) {
    const page = await browser.open(context)
    await page.evaluate(makeTab, { name: `tab ${index}`, duration, maxBackoff, patient: true, ...options })
    pages.push(page)
  }
  return pages
}

const pair = async (options?: Partial<TabStart>) => (await several(2, options)) as [Page, Page]
const three = async () => (await several(3)) as [Page, Page, Page]

const acquire = (page: Page) => page.evaluate(() => tab.acquire('l'))
const release = (page: Page) => page.evaluate(() => tab.release())
const stateOf = (page: Page) => page.evaluate(() => tab.state())
const query = (page: Page) => page.evaluate(() => tab.query('l'))

/** Resolves when so many wait for the lock. */
async function queued(count: number, page: Page): Promise<void> {
  while ((await query(page)).pending.length !== count);
}

async function crash(page: Page): Promise<void> {
  const crashed = page.waitForEvent('crash')
  page.goto('chrome://crash').catch(() => {})
  await crashed
}

/** Resolves when so many native locks of this name wait, as a page sees it. */
async function watched(address: string, count: number, page: Page): Promise<void> {
  const watchers = (name: string) => navigator.locks.query().then(({ pending }) => pending?.filter((lock) => lock.name === name).length)
  while ((await page.evaluate(watchers, address)) !== count);
}

const addressOf = async (page: Page): Promise<string> => `storelock locks ${await page.evaluate(() => tab.session())}`

/** Resolves when a tab has told this. */
async function told(tab: string, type: TabNews['type']): Promise<void> {
  while (!news.some((each) => each.tab === tab && each.type === type)) {
    await new Promise<void>((resolve) => {
      hear = resolve
    })
  }
}

const healthy = { held: true, aborted: false, thrown: undefined, reason: undefined }
const lost = { held: false, aborted: true, thrown: 'lost', reason: 'lost' }

describe('a tab that waits and never looks by itself', () => {
  test('is woken by a release, and so is the one behind it', async () => {
    const [one, two, three] = (await several(3)) as [Page, Page, Page]
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

  test('is woken by a release of other locks in the same page, on the same store or on another', async () => {
    const [page] = (await several(1)) as [Page]
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

  test('is given a lock that only lingers, and one whose tab is frozen', async () => {
    const [keeper, asker] = await pair({ linger: 3_600_000 })
    const first = await acquire(keeper)
    await release(keeper)
    expect((await acquire(keeper)).token).toBe(first.token + 1)
    await release(keeper)
    const { token } = await acquire(asker)
    expect(token).toBeGreaterThan(first.token + 1)
    await release(asker)
    const debug = await context.newCDPSession(asker)
    await debug.send('Page.setWebLifecycleState', { state: 'frozen' })
    expect((await acquire(keeper)).token).toBeGreaterThan(token)
    await debug.send('Page.setWebLifecycleState', { state: 'active' })
  })

  test.each([
    ['crashes', crash],
    ['is closed', (page: Page) => page.close()],
    ['goes to another page', (page: Page) => page.goto('about:blank')],
  ])('replaces at once a holder that %s', async (_, end) => {
    const [holder, waiter] = await pair()
    const { token } = await acquire(holder)
    const wait = acquire(waiter)
    await watched(await addressOf(holder), 1, waiter)
    await end(holder)
    expect((await wait).token).toBeGreaterThan(token)
    expect(await stateOf(waiter)).toEqual(healthy)
  })

  test('is not held up by the death of the one in front, nor by that of the holder after it', async () => {
    const [holder, front, last] = await three()
    await acquire(holder)
    acquire(front).catch(() => {})
    await queued(1, holder)
    const wait = acquire(last)
    await watched(await addressOf(front), 1, holder)
    await crash(front)
    await watched(await addressOf(holder), 1, last)
    await crash(holder)
    await wait
  })

  test('is not held up by one in front that died just when it was granted the lock', async () => {
    const [holder, front, last] = await three()
    await acquire(holder)
    acquire(front).catch(() => {})
    await queued(1, holder)
    const wait = acquire(last)
    await watched(await addressOf(front), 1, holder)
    await Promise.all([crash(front), release(holder)])
    await wait
  })

  test('replaces at once a worker that is terminated, and is woken by one that lets go', async () => {
    const [home, waiter] = await pair()
    const order = (order: WorkerOrder) =>
      new Promise((resolve) => {
        worker.onmessage = resolve
        worker.postMessage(order)
      })
    for (const end of ['terminate', 'release'] as const) {
      await home.evaluate(() => {
        globalThis.worker = storelock.startWorker()
      })
      await home.evaluate(order, { type: 'acquire', duration, maxBackoff } as const)
      const wait = acquire(waiter)
      await queued(1, home)
      const [session] = (await query(home)).held.map(({ session }) => session)
      await watched(`storelock locks ${session}`, 1, home)
      if (end === 'terminate') await home.evaluate(() => worker.terminate())
      else await home.evaluate(order, { type: 'release' } as const)
      await wait
      await release(waiter)
    }
  })

  test('gets the lock of a tab whose beacon was stolen, which is told', async () => {
    const [holder, waiter] = await pair()
    await acquire(holder)
    const wait = acquire(waiter)
    const address = await addressOf(holder)
    await watched(address, 1, waiter)
    await waiter.evaluate((name) => navigator.locks.request(name, { steal: true }, () => {}), address)
    await told('tab 1', 'aborted')
    expect(await stateOf(holder)).toEqual(lost)
    await wait
    expect(await addressOf(holder)).not.toBe(address)
  })
})

test('a page without navigator.locks and BroadcastChannel says so once for each, and gets its turn by looking', async () => {
  await context.addInitScript(() => {
    Reflect.deleteProperty(Navigator.prototype, 'locks')
    Reflect.deleteProperty(globalThis, 'BroadcastChannel')
  })
  const [one, two] = await pair({ patient: false, duration: 1_000, maxBackoff: 100 })
  for (let turn = 0; turn < 2; turn++) {
    await acquire(one)
    const wait = acquire(two)
    await queued(1, one)
    await release(one)
    await wait
    await release(two)
  }
  const held = await acquire(one)
  const wait = acquire(two)
  await queued(1, two)
  await crash(one)
  expect((await wait).token).toBeGreaterThan(held.token)
  const warning = { type: 'warning', warning: 'degraded', code: 'store' }
  expect(news.filter(({ type }) => type === 'warning')).toEqual([
    { tab: 'tab 1', ...warning },
    { tab: 'tab 1', ...warning },
    { tab: 'tab 2', ...warning },
    { tab: 'tab 2', ...warning },
  ])
})

describe('the back/forward cache', () => {
  beforeEach(() =>
    context.addInitScript(() => {
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
    }),
  )

  /** Goes to another page and comes back. @returns what the page saw of that when it was shown again */
  async function goAndComeBack(page: Page, meanwhile: () => Promise<unknown>): Promise<unknown> {
    await page.goto('about:blank')
    await meanwhile()
    // A page out of the cache is not loaded again.
    await page.goBack({ waitUntil: 'commit' })
    await page.waitForFunction(() => globalThis.shown)
    return page.evaluate(() => shown)
  }

  test('keeps a page that held a lock, which hands it over, and takes it again when it comes back', async () => {
    const [page, other] = await pair()
    const { token } = await acquire(page)
    expect(await page.evaluate(() => channels.size)).toBe(1)
    expect(await goAndComeBack(page, () => acquire(other))).toEqual({ persisted: true, channels: 0 })
    expect(await stateOf(page)).toEqual(lost)
    const again = acquire(page)
    await queued(1, other)
    await release(other)
    expect((await again).token).toBeGreaterThan(token)
  })

  test('keeps a page that waits, which holds up nobody meanwhile, and waits again when it comes back', async () => {
    const [holder, page, last] = await three()
    await acquire(holder)
    const wait = page.evaluate(() => {
      globalThis.wait = tab.acquire('l')
    })
    await wait
    await queued(1, holder)
    const shown = await goAndComeBack(page, async () => {
      await queued(0, holder)
      await release(holder)
      await acquire(last)
    })
    expect(shown).toEqual({ persisted: true, channels: 0 })
    await queued(1, last)
    await release(last)
    await page.evaluate(() => globalThis.wait)
    expect(await stateOf(page)).toEqual(healthy)
  })
})

declare global {
  var worker: Worker
  var channels: Set<BroadcastChannel>
  /** What the page saw when it was last shown. */
  var shown: { readonly persisted: boolean; readonly channels: number } | undefined
  var wait: Promise<unknown>
}
