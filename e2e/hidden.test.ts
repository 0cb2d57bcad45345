import type { Page } from 'puppeteer-core'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { Clock, HeldLock, LockWarning } from '../src/index.ts'
import { type Background, startBackground } from './background.ts'

// Tabs in the background. Only Chromium's driver can throttle them as for a real user, list their workers, and freeze them.
// In s: after this time their timers drop to one per minute.
const grace = 5
/** In ms. */
const duration = 3_000

let browser: Background

beforeAll(async () => {
  browser = await startBackground(grace)
})

afterAll(() => browser.close())

afterEach(() => expect(browser.errors.splice(0)).toEqual([]))

/** Takes the lock `kept` in a page, and `plain` with a clock of plain timers. `warnings` collects those about `kept`. */
async function hold(page: Page, duration: number): Promise<void> {
  await page.evaluate(async (duration) => {
    const { createLocks, indexedDBStore } = storelock
    const store = indexedDBStore('locks')
    const clock: Clock = {
      now: () => Date.now(),
      monotonic: () => performance.now(),
      random: () => Math.random(),
      after(ms, run) {
        const timer = setTimeout(run, ms)
        return () => clearTimeout(timer)
      },
    }
    globalThis.warnings = []
    const onWarning = (warning: LockWarning) => warnings.push(warning)
    globalThis.kept = await createLocks({ store, duration, onWarning }).acquire('kept')
    globalThis.plain = await createLocks({ store, duration, clock }).acquire('plain')
  }, duration)
}

/** Resolves when `count` workers run in a page. */
async function workers(page: Page, count: number): Promise<void> {
  while (page.workers().length !== count) {
    await new Promise<void>((resolve) => {
      const changed = (): void => {
        page.off('workercreated', changed).off('workerdestroyed', changed)
        resolve()
      }
      page.on('workercreated', changed).on('workerdestroyed', changed)
    })
  }
}

test('a hidden page keeps its lock, and would lose it with plain timers', async () => {
  const page = await browser.open()
  await hold(page, duration)
  await browser.hide(page)
  while (await page.evaluate(() => plain.isHeld()));
  expect(await page.evaluate(() => [kept.isHeld(), kept.signal.aborted])).toEqual([true, false])
  await page.close()
})

test('a page has a worker only while it is hidden and has a timer to wait for', async () => {
  const page = await browser.open()
  await hold(page, duration)
  expect(page.workers()).toEqual([])
  await browser.hide(page)
  await workers(page, 1)
  await browser.show(page)
  await workers(page, 0)
  await browser.hide(page)
  await workers(page, 1)
  await page.evaluate(() => kept.release())
  await workers(page, 0)
  await page.close()
})

test('a page that may not start such a worker gets one warning, and keeps its lock as long as plain timers suffice', async () => {
  const page = await browser.open('no-workers.html')
  const violations: string[] = []
  await page.exposeFunction('violated', (blocked: string) => violations.push(blocked))
  await page.evaluate(() => addEventListener('securitypolicyviolation', ({ blockedURI }) => violated(blockedURI)))
  await hold(page, 20_000)
  for (let turn = 0; turn < 2; turn++) {
    await browser.hide(page)
    await page.waitForFunction(() => warnings.length, { polling: 50 })
    await browser.show(page)
  }
  const told = await page.evaluate(() => warnings.map(({ type, names, error }) => ({ type, names, code: error.code, message: error.message })))
  expect(told).toEqual([{ type: 'degraded', names: [], code: 'store', message: expect.stringContaining('`worker-src blob:`') }])
  expect(violations).toEqual(['blob'])
  expect(await page.evaluate(() => kept.isHeld())).toBe(true)
  await page.close()
})

test('a page that enforces Trusted Types and allows our policy has a worker while it is hidden', async () => {
  const page = await browser.open('trusted-types.html')
  await hold(page, duration)
  await browser.hide(page)
  await workers(page, 1)
  expect(await page.evaluate(() => warnings.length)).toBe(0)
  await page.close()
})

test('a prerendered page requests no lock until the user opens it', async () => {
  const witness = await browser.open()
  const page = await browser.open()
  const url = new URL('prerendered.html', page.url()).href
  const said = async (item: string): Promise<unknown> => {
    const text = await witness.waitForFunction((item) => localStorage.getItem(item), { polling: 50 }, item)
    return JSON.parse((await text.jsonValue()) as string)
  }
  await page.evaluate((url) => {
    const rules = document.createElement('script')
    rules.type = 'speculationrules'
    rules.textContent = JSON.stringify({ prerender: [{ urls: [url] }] })
    document.head.append(rules)
  }, url)
  expect(await said('looked')).toEqual({ prerendered: true, granted: false })
  // The driver loses a page that a prerendered one replaces, so the page reports its result to the other tab.
  await page.evaluate((url) => void setTimeout(() => location.assign(url)), url)
  expect(await said('granted')).toEqual({ prerendered: false })
  await Promise.all([witness.close(), page.close().catch(() => {})])
})

test('a page that got a worker when it was hidden goes into the back/forward cache', async () => {
  const page = await browser.open()
  await hold(page, 60_000)
  await browser.hide(page)
  await workers(page, 1)
  await page.evaluate(() => {
    addEventListener('pageshow', ({ persisted }) => {
      globalThis.restored = { persisted }
    })
  })
  await page.goto('about:blank')
  // Puppeteer does not notice a page from the cache, so its `goBack` would wait for ever.
  await page.evaluate(() => void setTimeout(() => history.back()))
  // If the page was not cached, it is loaded again.
  await page.waitForFunction(() => globalThis.restored ?? (document.URL !== 'about:blank' && document.readyState === 'complete'), { polling: 50 })
  const shown = await page.evaluate(() => {
    const [{ notRestoredReasons }] = performance.getEntriesByType('navigation') as unknown as [{ notRestoredReasons?: unknown }]
    return { ...globalThis.restored, notRestoredReasons }
  })
  expect(shown).toEqual({ persisted: true, notRestoredReasons: null })
  await page.close()
})

test('a page that was frozen until another page took its lock knows of the loss in the first line that runs, even in older listeners', async () => {
  const page = await browser.open()
  await page.evaluate(async (duration) => {
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
    const { createLocks, indexedDBStore } = storelock
    // Renewed by hand, so that no beat is under way: a page that is frozen within a transaction blocks all other pages.
    const lock = await createLocks({ store: indexedDBStore('locks'), duration }).acquire('frozen', { renew: 'manual' })
    const { signal } = lock
    look = (who) => {
      const { aborted } = signal
      seen[who] ??= [aborted, lock.isHeld()]
    }
  }, 900)
  const other = await browser.open()
  await browser.hide(page)
  await page.evaluate(() => {
    for (const who of Object.keys(seen)) delete seen[who]
  })
  const debug = await page.createCDPSession()
  await debug.send('Page.setWebLifecycleState', { state: 'frozen' })
  await other.evaluate(async () => {
    const { createLocks, indexedDBStore } = storelock
    await createLocks({ store: indexedDBStore('locks'), maxBackoff: 100 }).acquire('frozen')
    new BroadcastChannel('wake').postMessage('')
  })
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

declare global {
  var kept: HeldLock
  var plain: HeldLock
  var seen: Record<string, unknown>
  /** The page's last `pageshow` event. */
  var restored: { readonly persisted: boolean } | undefined
  var warnings: LockWarning[]
  var violated: (blocked: string) => void
}
