import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { facts, shapes } from '../test/web-locks/facts.ts'
import { launchChromium } from './browser.ts'
import { type Site, servePages } from './pages/serve.ts'

let site: Site
let browser: Browser
let context: BrowserContext
const errors: string[] = []

beforeAll(async () => {
  ;[site, browser] = await Promise.all([servePages(), launchChromium()])
})

afterAll(async () => {
  await browser.close()
  await site.close()
})

const open = async (whose: string): Promise<Page> => {
  const page = await context.newPage()
  page.on('pageerror', (error) => errors.push(String(error)))
  await page.goto(new URL(`../web-locks/index.html?${whose}`, site.url).href)
  await page.waitForFunction(() => 'webLocks' in globalThis)
  return page
}

/** What the specification says and Chromium's own locks do not do. */
const notNative = ['names: are shown by a query as they are', 'signal: lets those in that waited behind what it calls off']
const factsOf = (whose: string): string[] =>
  [...facts, ...shapes].map(({ name }) => name).filter((name) => whose === 'ours' || !notNative.includes(name))

// The browser's own are tested beside ours, to show that the facts are facts.
describe.each(['native', 'ours'])('Web Locks, %s', (whose) => {
  describe('between a page and a frame', () => {
    let page: Page

    beforeAll(async () => {
      context = await browser.newContext()
      page = await open(whose)
    })

    afterAll(() => context.close())

    test.each(factsOf(whose))('%s', async (name) => {
      await page.evaluate((name) => webLocks.check(name), name)
      expect(errors.splice(0)).toEqual([])
    })

    test('the locks of a frame that was removed say InvalidStateError before anything else', async () => {
      expect(await page.evaluate(() => webLocks.askInRemovedFrame())).toEqual(Array(3).fill('InvalidStateError'))
    })
  })

  test('a page of an opaque origin is told SecurityError', async () => {
    context = await browser.newContext()
    // What a sandboxed page loads of its modules has to be allowed to come from elsewhere.
    const headers = { 'content-security-policy': 'sandbox allow-scripts', 'access-control-allow-origin': '*' }
    await context.route('**', async (route) => {
      const response = await route.fetch()
      await route.fulfill({ response, headers: { ...response.headers(), ...headers } })
    })
    const page = await open(whose)
    expect(await page.evaluate(() => origin)).toBe('null')
    expect(await page.evaluate(() => webLocks.refusals())).toEqual(['SecurityError', 'SecurityError'])
    await context.close()
    expect(errors.splice(0)).toEqual([])
  })

  describe('between tabs', () => {
    let holder: Page
    let waiter: Page

    beforeEach(async () => {
      context = await browser.newContext()
      holder = await open(whose)
      waiter = await open(whose)
    })

    afterEach(async () => {
      await context.close()
      expect(errors.splice(0)).toEqual([])
    })

    /** Who waits gets the lock when who holds it goes away, long before any lease is over. */
    async function handsOver(leave: () => Promise<unknown>): Promise<void> {
      const wait = await waiter.evaluateHandle(() => webLocks.wait('k'))
      await leave()
      await wait.evaluate(({ served }) => served)
      expect((await waiter.evaluate(() => webLocks.query())).held).toEqual([])
    }

    test.each<[string, () => Promise<unknown>]>([
      ['is closed', () => holder.close()],
      ['is reloaded', () => holder.reload()],
      ['goes to another page', () => holder.goto('about:blank')],
      ['crashes', () => Promise.all([holder.waitForEvent('crash'), holder.goto('chrome://crash').catch(() => {})])],
    ])('a tab that %s lets go at once', async (_, leave) => {
      await holder.evaluate(() => webLocks.hold('k'))
      await handsOver(leave)
    })

    test.each<[string, () => Promise<unknown>]>([
      ['is removed', () => holder.evaluate(() => webLocks.removeFrame())],
      ['goes to another page', () => holder.evaluate(() => webLocks.leaveFrame())],
    ])('a frame that %s lets go at once', async (_, leave) => {
      await holder.evaluate(() => webLocks.holdInFrame('k'))
      await handsOver(leave)
    })

    test('a worker that is terminated lets go at once', async () => {
      await holder.evaluate(() => webLocks.holdInWorker('k'))
      await handsOver(() => holder.evaluate(() => webLocks.terminateWorker()))
    })

    test('what a crashed tab held is free though nobody waited for it', async () => {
      await holder.evaluate(() => webLocks.hold('k'))
      await Promise.all([holder.waitForEvent('crash'), holder.goto('chrome://crash').catch(() => {})])
      while ((await waiter.evaluate(() => webLocks.query())).held?.length);
      expect(await waiter.evaluate(() => webLocks.isAvailable('k'))).toBe(true)
    })

    test('a tab that is closed while it waits keeps nobody waiting', async () => {
      await holder.evaluate(() => webLocks.hold('k'))
      const third = await open(whose)
      await third.evaluate(() => void webLocks.wait('k'))
      await third.evaluate(() => webLocks.query())
      await handsOver(async () => {
        await third.close()
        await holder.close()
      })
    })

    test('a query shows tabs, frames and workers, each under an id of its own', async () => {
      await holder.evaluate(() => webLocks.hold('tab'))
      await holder.evaluate(() => webLocks.holdInFrame('frame'))
      await holder.evaluate(() => webLocks.holdInWorker('worker'))
      await waiter.evaluate(() => webLocks.hold('other tab'))
      await waiter.evaluate(() => void webLocks.wait('tab'))
      const { held = [], pending = [] } = await waiter.evaluate(() => webLocks.query())
      expect(held.map(({ name }) => name).sort()).toEqual(['frame', 'other tab', 'tab', 'worker'])
      expect(new Set(held.map(({ clientId }) => clientId)).size).toBe(4)
      expect(pending).toEqual([{ name: 'tab', mode: 'exclusive', clientId: held.find(({ name }) => name === 'other tab')?.clientId }])
    })
  })
})
