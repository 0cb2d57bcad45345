import type { Page } from 'puppeteer-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { HeldLock, Locks, LocksOptions } from '../src/index.ts'
import { type Background, startBackground } from './background.ts'

// What a page knows of its locks after a pause, and how it goes into the back/forward cache and comes back. Times in ms.
const duration = 900
const long = 60_000

let browser: Background

beforeAll(async () => {
  browser = await startBackground(300)
})

afterAll(() => browser.close())

afterEach(() => expect(browser.errors.splice(0)).toEqual([]))

const open = async (duration: number): Promise<Page> => {
  const page = await browser.open()
  await page.evaluate((duration) => {
    const store = storelock.indexedDBStore('locks')
    globalThis.makeLocks = (options) => storelock.createLocks({ store, duration, maxBackoff: 100, ...options })
  }, duration)
  return page
}

/** Has a page ask for a lock. The promise is the page's, and is not waited for. */
const ask = (page: Page, name: string): Promise<void> =>
  page.evaluate((name) => {
    globalThis.locks ??= makeLocks()
    globalThis.asked = locks.acquire(name)
  }, name)

const granted = (page: Page): Promise<number> => page.evaluate(() => asked.then(({ token }) => token))

async function take(page: Page, name: string): Promise<number> {
  await ask(page, name)
  return granted(page)
}

const query = (page: Page, name: string) => page.evaluate((name) => (globalThis.locks ?? makeLocks()).query(name), name)

async function queued(count: number, page: Page, name: string): Promise<void> {
  while ((await query(page, name)).pending.length !== count);
}

describe('a page that was frozen until another had its lock', () => {
  test('knows that in the first line of whatever runs next, also of what listened before', async () => {
    const page = await open(duration)
    await page.evaluate(async () => {
      const seen: Record<string, unknown> = {}
      globalThis.seen = seen
      let look = (_who: string): void => {}
      for (const type of ['resume', 'visibilitychange', 'focus', 'message']) {
        addEventListener(type, () => look(`window, captured: ${type}`), true)
        document.addEventListener(type, () => look(`document: ${type}`))
        addEventListener(type, () => look(`window: ${type}`))
      }
      const channel = new BroadcastChannel('wake')
      channel.onmessage = () => look('a message')
      let wake = (): void => {}
      const woken = new Promise<void>((resolve) => {
        wake = resolve
      })
      document.addEventListener('resume', () => wake())
      woken.then(() => look('a promise'))
      // It has no beat under way: a page that is frozen within a transaction holds up everyone.
      const lock = await makeLocks().acquire('k', { renew: 'manual' })
      const { signal } = lock
      look = (who) => {
        const { aborted } = signal
        seen[who] ??= [aborted, lock.isHeld()]
      }
    })
    const other = await open(duration)
    await browser.hide(page)
    await page.evaluate(() => {
      for (const who of Object.keys(seen)) delete seen[who]
    })
    const debug = await page.createCDPSession()
    await debug.send('Page.setWebLifecycleState', { state: 'frozen' })
    await take(other, 'k')
    await other.evaluate(() => new BroadcastChannel('wake').postMessage(''))
    await debug.send('Page.setWebLifecycleState', { state: 'active' })
    await browser.show(page)
    await page.waitForFunction(() => 'a message' in seen && 'window: visibilitychange' in seen, { polling: 50 })
    const lost = [true, false]
    expect(await page.evaluate(() => seen)).toMatchObject({
      'window, captured: resume': lost,
      'document: resume': lost,
      'a promise': lost,
      'a message': lost,
      'window, captured: visibilitychange': lost,
      'window: visibilitychange': lost,
    })
    await Promise.all([page.close(), other.close()])
  })
})

describe('the back/forward cache', () => {
  /** Goes to another page and comes back. @returns what the page saw of that */
  async function goAndComeBack(page: Page, meanwhile = async (): Promise<void> => {}): Promise<unknown> {
    await page.evaluate(() => {
      globalThis.restored = undefined
      addEventListener('pageshow', ({ persisted }) => {
        globalThis.restored = { persisted }
      })
    })
    await page.goto('about:blank')
    await meanwhile()
    // Puppeteer does not notice that a page out of the cache is there, so its own way back would wait for ever.
    await page.evaluate(() => void setTimeout(() => history.back()))
    // A page that was not kept is loaded again.
    await page.waitForFunction(() => globalThis.restored ?? (document.URL !== 'about:blank' && document.readyState === 'complete'), { polling: 50 })
    return page.evaluate(() => {
      const [{ notRestoredReasons }] = performance.getEntriesByType('navigation') as unknown as [{ notRestoredReasons?: unknown }]
      return { ...globalThis.restored, notRestoredReasons }
    })
  }
  const restored = { persisted: true, notRestoredReasons: null }

  test('takes a page that holds a lock, waits for another and lingers on a third, which are others’ then, and gives it back', async () => {
    const [page, holder, other] = await Promise.all([open(long), open(long), open(long)])
    await take(holder, 'wanted')
    await page.evaluate(async () => {
      // It never looks by itself: Chromium drops a page that is left in the middle of a transaction for which others wait.
      const clock = { now: () => Date.now(), monotonic: () => performance.now(), random: () => Math.random(), after: () => () => {} }
      globalThis.locks = makeLocks({ linger: 3_600_000, clock })
      globalThis.held = await locks.acquire('held')
      await locks.request('lingers', () => {})
      globalThis.asked = locks.acquire('wanted')
    })
    await queued(1, holder, 'wanted')
    const shown = await goAndComeBack(page, async () => {
      await queued(0, holder, 'wanted')
      await take(other, 'held')
      await take(other, 'lingers')
    })
    expect(shown).toEqual(restored)
    expect(await page.evaluate(() => [held.isHeld(), held.signal.aborted])).toEqual([false, true])
    await queued(1, other, 'wanted')
    await holder.close()
    await granted(page)
    await Promise.all([page.close(), other.close()])
  })

  test('takes a page that has lost its locks by the time its events say so', async () => {
    const page = await open(long)
    await page.evaluate(async () => {
      globalThis.seen = {}
      const look = (who: string) => () => {
        seen[who] ??= [signal.aborted, held.isHeld()]
      }
      // An event of the window itself comes to its listeners in their order: until it comes to ours, the lock is held.
      addEventListener('pageshow', look('pageshow, before'))
      document.addEventListener('visibilitychange', look('visibilitychange, before'))
      globalThis.held = await makeLocks().acquire('k')
      const { signal } = held
      addEventListener('pagehide', look('pagehide, after'))
    })
    expect(await goAndComeBack(page)).toEqual(restored)
    const lost = [true, false]
    expect(await page.evaluate(() => seen)).toEqual({ 'pagehide, after': lost, 'visibilitychange, before': lost, 'pageshow, before': lost })
    await page.close()
  })

  test('takes a page that has a worker since it was hidden', async () => {
    const page = await open(long)
    await take(page, 'k')
    await browser.hide(page)
    while (!page.workers().length) await new Promise((resolve) => page.once('workercreated', resolve))
    expect(await goAndComeBack(page)).toEqual(restored)
    await page.close()
  })
})

declare global {
  var makeLocks: (options?: Partial<LocksOptions>) => Locks
  var locks: Locks
  var asked: Promise<HeldLock>
  var held: HeldLock
  var seen: Record<string, unknown>
  /** What the page was told when it was last shown. */
  var restored: { readonly persisted: boolean } | undefined
}
