import type { BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startTabs, type Tabs } from './pages/tabs.ts'
import type { KeeperSettings, WorkerKind } from './pages/workers.ts'

/** In ms. Only a proof hands a lock over before a minute has passed. */
const patient: KeeperSettings = { duration: 60_000, maxSilence: 60_000 }

let tabs: Tabs
let context: BrowserContext

beforeAll(async () => {
  tabs = await startTabs()
})

afterAll(() => tabs.close())

beforeEach(async () => {
  context = await tabs.newContext()
})

afterEach(async () => {
  await context.close()
  expect(tabs.errors.splice(0)).toEqual([])
})

async function open(kind: WorkerKind, label: string, settings = patient): Promise<Page> {
  const page = await tabs.open(context)
  await page.goto(new URL('workers.html', page.url()).href)
  await page.waitForFunction(() => 'startWrapped' in globalThis)
  await page.evaluate(([kind, settings, label]) => startWrapped(kind, settings, label), [kind, settings, label] as const)
  return page
}

const acquire = (page: Page): Promise<number> => page.evaluate(() => wrapped.acquire('l'))

/** Resolves when so many wait for the lock. */
const queued = (page: Page, count: number): Promise<unknown> =>
  page.waitForFunction(async (count) => (await wrapped.locks.query('l')).pending.length === count, count)

describe.each<WorkerKind>(['dedicated', 'shared'])('tabs whose locks a %s worker keeps', (kind) => {
  test('hold a lock one at a time, each with a higher token', async () => {
    const pages = await Promise.all(['a', 'b', 'c'].map((label) => open(kind, label)))
    const turns = async () => {
      const tokens: number[] = []
      for (let turn = 0; turn < 20; turn++) {
        await wrapped.locks.request('l', async (lock) => {
          const { held } = await wrapped.locks.query('l')
          if (held.length !== 1 || held[0]?.token !== lock.token) throw new Error('another holds it too')
          lock.assertHeld()
          tokens.push(lock.token)
        })
      }
      return tokens
    }
    const tokens = await Promise.all(pages.map((page) => page.evaluate(turns)))
    expect(new Set(tokens.flat()).size).toBe(60)
    for (const own of tokens) expect(own).toEqual(own.toSorted((a, b) => a - b))
  })

  test('give it to the next at once when one of them is closed', async () => {
    const [one, two] = await Promise.all([open(kind, 'one'), open(kind, 'two')])
    const first = await acquire(one)
    const next = acquire(two)
    await queued(two, 1)
    await one.close()
    expect(await next).toBeGreaterThan(first)
  })

  test('give it to the next at once when one of them crashes', async () => {
    const [one, two] = await Promise.all([open(kind, 'one'), open(kind, 'two')])
    const first = await acquire(one)
    const next = acquire(two)
    await queued(two, 1)
    const crashed = one.waitForEvent('crash')
    one.goto('chrome://crash').catch(() => {})
    await crashed
    expect(await next).toBeGreaterThan(first)
  })

  test('give it to the next at once when one of them goes elsewhere', async () => {
    const [one, two] = await Promise.all([open(kind, 'one'), open(kind, 'two')])
    const first = await acquire(one)
    const next = acquire(two)
    await queued(two, 1)
    await one.goto('about:blank')
    expect(await next).toBeGreaterThan(first)
  })

  test('lose nothing while they are blocked for longer than the lease, within maxSilence', async () => {
    const page = await open(kind, 'one', { duration: 1_000, maxSilence: 60_000 })
    const other = await open(kind, 'two', { duration: 1_000, maxSilence: 60_000 })
    await acquire(page)
    const next = acquire(other)
    await queued(other, 1)
    await page.evaluate(() => wrapped.block(3_000))
    await page.evaluate(() => wrapped.lock.renew())
    expect(await page.evaluate(() => [wrapped.lock.isHeld(), wrapped.lock.signal.aborted])).toEqual([true, false])
    await page.evaluate(() => wrapped.lock.release())
    await next
  })

  test('lose it when they hang for longer than maxSilence, and the next gets it', async () => {
    const settings: KeeperSettings = { duration: 500, maxSilence: 500 }
    const [one, two] = await Promise.all([open(kind, 'one', settings), open(kind, 'two', settings)])
    const first = await acquire(one)
    const next = acquire(two)
    await queued(two, 1)
    const cdp = await context.newCDPSession(one)
    // A page that stands still in a debugger runs nothing, and keeps its beacon.
    await cdp.send('Debugger.enable')
    await cdp.send('Debugger.pause')
    const paused = new Promise((resolve) => cdp.once('Debugger.paused', resolve))
    await paused
    expect(await next).toBeGreaterThan(first)
    await cdp.send('Debugger.disable')
    expect(await one.evaluate(() => [wrapped.lock.isHeld(), wrapped.aborted] as const).then(([held]) => held)).toBe(false)
    expect(await one.evaluate(() => wrapped.aborted)).toBe('lost')
  })
})

test('a worker that is terminated is noticed by its page before anyone else has the lock', async () => {
  const settings: KeeperSettings = { duration: 2_000, maxSilence: 2_000 }
  const [one, two] = await Promise.all([open('dedicated', 'one', settings), open('dedicated', 'two', settings)])
  await acquire(one)
  const next = acquire(two).then(() => performance.now())
  await queued(two, 1)
  await one.evaluate(() => wrapped.terminate())
  expect(await one.evaluate(() => wrapped.aborted)).toBe('lost')
  const aborted = performance.now()
  expect(await next).toBeGreaterThan(aborted)
})
