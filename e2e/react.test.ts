import type { Browser, BrowserContext, Page } from 'playwright-core'
import type { UseLockOptions } from 'storelock/react'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { launchChromium } from './browser.ts'
import { type ReactSite, serveReact } from './pages/react/serve.ts'

let browser: Browser
let context: BrowserContext
let errors: string[]

beforeAll(async () => {
  browser = await launchChromium({ ignoreDefaultArgs: ['--disable-back-forward-cache'] })
})

afterAll(() => browser.close())

beforeEach(async () => {
  context = await browser.newContext()
  errors = []
})

afterEach(async () => {
  await context.close()
  expect(errors).toEqual([])
})

async function open({ url }: ReactSite, options?: Parameters<typeof mount>[1]): Promise<Page> {
  const page = await context.newPage()
  page.on('pageerror', (error) => errors.push(String(error)))
  // React warns this way.
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()))
  await page.goto(url)
  await page.waitForFunction(() => 'react' in globalThis)
  if (options) await mount(page, options)
  return page
}

const mount = (page: Page, options: Pick<UseLockOptions, 'again' | 'steal'> = {}) => page.evaluate((options) => react.mount(options), options)
const unmount = (page: Page) => page.evaluate(() => react.unmount())

/** Waits until the panel shows this. @returns its token, 0 if it shows none */
async function shows(page: Page, state: string): Promise<number> {
  const panel = page.locator(`button[data-state=${state}]`)
  await panel.waitFor()
  return Number(await panel.getAttribute('data-token'))
}

/** How many hold the lock, and how many wait for it. */
const counts = (page: Page) =>
  page.evaluate(async () => {
    const { held, pending } = await react.query()
    return { held: held.length, pending: pending.length }
  })

/** Resolves when so many hold the lock and wait for it. */
async function standing(page: Page, held: number, pending: number): Promise<void> {
  for (;;) {
    const now = await counts(page)
    if (now.held === held && now.pending === pending) return
  }
}

describe('useLock, in the tabs of a browser and in Strict Mode', () => {
  let site: ReactSite
  beforeAll(async () => {
    site = await serveReact(false)
  })
  afterAll(() => site.close())

  test('asks once, and lets go when its component goes', async () => {
    const page = await open(site, {})
    await shows(page, 'held')
    expect(await counts(page)).toEqual({ held: 1, pending: 0 })
    await unmount(page)
    await standing(page, 0, 0)
  })

  test('waits in one tab while the other holds, and holds as soon as that lets go', async () => {
    const one = await open(site, {})
    const token = await shows(one, 'held')
    const two = await open(site, {})
    await shows(two, 'waiting')
    await standing(one, 1, 1)
    await unmount(one)
    expect(await shows(two, 'held')).toBeGreaterThan(token)
    await standing(one, 1, 0)
  })

  test('takes the wait of a component that goes back', async () => {
    const one = await open(site, {})
    await shows(one, 'held')
    const two = await open(site, {})
    await standing(one, 1, 1)
    await unmount(two)
    await standing(one, 1, 0)
    await unmount(one)
    await standing(one, 0, 0)
  })

  test('holds after a component has come and gone many times, and nothing is left of those', async () => {
    const page = await open(site)
    await page.evaluate(async () => {
      for (let time = 0; time < 50; time++) {
        react.mount({})
        // A task each, so that React shows it, and the wait or the hold is called off in every state it can be in.
        for (let tasks = 0; tasks < time % 10; tasks++) await new Promise((resolve) => setTimeout(resolve))
        react.unmount()
        await new Promise((resolve) => setTimeout(resolve))
      }
    })
    await standing(page, 0, 0)
    await mount(page)
    await shows(page, 'held')
    expect(await counts(page)).toEqual({ held: 1, pending: 0 })
  })

  test('holds after the tab that held crashed', async () => {
    const one = await open(site, {})
    await shows(one, 'held')
    const two = await open(site, {})
    await standing(two, 1, 1)
    one.goto('chrome://crash').catch(() => {})
    await shows(two, 'held')
  })

  test('holds again after its page was loaded anew', async () => {
    const page = await open(site, {})
    const token = await shows(page, 'held')
    await page.reload()
    await page.waitForFunction(() => 'react' in globalThis)
    await mount(page)
    expect(await shows(page, 'held')).toBeGreaterThan(token)
  })

  test('is told by the thief that it lost, and asks again when it is told to', async () => {
    const one = await open(site, {})
    await shows(one, 'held')
    const two = await open(site, { steal: true })
    await shows(two, 'held')
    await shows(one, 'lost')
    await one.locator('button').click()
    await shows(one, 'waiting')
    await unmount(two)
    await shows(one, 'held')
  })

  describe('of a page in the back/forward cache', () => {
    beforeEach(() =>
      context.addInitScript(() => {
        addEventListener('pageshow', ({ persisted }) => {
          globalThis.persisted = persisted
        })
      }),
    )

    /** Goes to another page, and comes back when the other tab has taken the lock. */
    async function leave(page: Page, other: Page): Promise<void> {
      await page.goto('about:blank')
      await mount(other)
      await shows(other, 'held')
      await page.goBack({ waitUntil: 'commit' })
      await page.waitForFunction(() => globalThis.persisted)
    }

    test('shows that it lost the lock when the page comes back', async () => {
      const [page, other] = [await open(site, {}), await open(site)]
      await shows(page, 'held')
      await leave(page, other)
      await shows(page, 'lost')
      expect(await counts(other)).toEqual({ held: 1, pending: 0 })
    })

    test('waits again when the page comes back, where that is wanted', async () => {
      const [page, other] = [await open(site, { again: true }), await open(site)]
      await shows(page, 'held')
      await leave(page, other)
      await shows(page, 'waiting')
      await standing(other, 1, 1)
      await unmount(other)
      await shows(page, 'held')
    })
  })
})

declare global {
  /** Whether the page came out of the back/forward cache when it was last shown. */
  var persisted: boolean
}

describe('a module that is replaced while the page runs', () => {
  let site: ReactSite
  beforeAll(async () => {
    site = await serveReact(true)
  })
  afterAll(() => site.close())

  const version = (page: Page, version: number) => page.locator(`button[data-version="${version}"]`)

  test('brings a component that holds, after the old one has let go', async () => {
    const page = await open(site, {})
    let token = await shows(page, 'held')
    for (let time = 2; time < 5; time++) {
      await site.reload()
      await version(page, time).waitFor()
      const next = await shows(page, 'held')
      expect(next).toBeGreaterThan(token)
      expect(await counts(page)).toEqual({ held: 1, pending: 0 })
      token = next
    }
    await unmount(page)
    await standing(page, 0, 0)
  })
})
