import type { Page } from 'puppeteer-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Background, startBackground } from './background.ts'
import type {} from './recipes/leader-page.ts'

let browser: Background
beforeAll(async () => {
  browser = await startBackground(300)
})
afterAll(() => browser.close())
afterEach(() => expect(browser.errors.splice(0)).toEqual([]))

/** Opens a visible tab, which hides the tabs that were open before. */
const open = (): Promise<Page> => browser.open('../recipes/leader.html')
const leads = (page: Page) => page.waitForFunction(() => leader.leads, { polling: 20 })
const terms = (page: Page): Promise<number> => page.evaluate(() => leader.terms)

describe('the recipe for one tab that syncs', () => {
  test('a hidden leader hands over to a visible tab, and leads again when it is shown and the other tab is closed', async () => {
    const first = await open()
    await leads(first)
    const second = await open()
    await leads(second)
    expect(await first.evaluate(() => leader.leads)).toBe(false)
    await browser.show(first)
    await leads(first)
    await second.close()
    expect([await first.evaluate(() => leader.leads), await terms(first)]).toEqual([true, 2])
    await first.close()
  })

  test('a hidden leader goes on leading while no tab is visible', async () => {
    const only = await open()
    await leads(only)
    await browser.hide(only)
    await browser.show(only)
    await browser.hide(only)
    // By the time that this second look at the queue returns, the leader's own look has returned too.
    await only.evaluate(() => leader.waiting())
    expect([await only.evaluate(() => leader.leads), await terms(only)]).toEqual([true, 1])
    await only.close()
  })
})
