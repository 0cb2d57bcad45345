import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
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

beforeEach(async () => {
  context = await browser.newContext()
})

afterEach(async () => {
  await context.close()
  expect(errors.splice(0)).toEqual([])
})

const open = async (): Promise<Page> => {
  const page = await context.newPage()
  page.on('pageerror', (error) => errors.push(String(error)))
  await page.goto(new URL('../third-party/index.html', site.url).href)
  await page.waitForFunction(() => 'election' in globalThis)
  return page
}

/** Two tabs, of which the first leads and the second waits. */
async function elect(): Promise<[leader: Page, other: Page]> {
  const leader = await open()
  await leader.evaluate(() => election.stand('first'))
  await leader.evaluate(() => election.leads())
  const other = await open()
  await other.evaluate(() => election.stand('second'))
  return [leader, other]
}

const isLeader = (page: Page) => page.evaluate(() => election.isLeader())

describe('tab-election, which knows nothing of these locks', () => {
  test('elects one leader, by our locks and none of the browser’s', async () => {
    const [leader, other] = await elect()
    expect([await isLeader(leader), await isLeader(other)]).toEqual([true, false])
    const { ours, browsers } = await other.evaluate(() => election.query())
    expect(ours[0]).toBe(1)
    expect(ours[1]).toBeGreaterThanOrEqual(1)
    expect(browsers).toEqual([0, 0])
  })

  test('lets the other tab call the leader and hear from it', async () => {
    const [leader, other] = await elect()
    expect(await other.evaluate(() => election.whoLeads())).toBe('first')
    const heard = other.evaluate(() => election.state('hello'))
    await leader.evaluate(() => election.setState('hello'))
    await heard
  })

  test.each<[string, (leader: Page) => Promise<unknown>]>([
    ['resigns', (leader) => leader.evaluate(() => election.resign())],
    ['is closed', (leader) => leader.close()],
    ['crashes', (leader) => Promise.all([leader.waitForEvent('crash'), leader.goto('chrome://crash').catch(() => {})])],
  ])('elects the other tab when the leader %s', async (_, leave) => {
    const [leader, other] = await elect()
    await leave(leader)
    await other.evaluate(() => election.leads())
    expect(await other.evaluate(() => election.whoLeads())).toBe('second')
  })
})
