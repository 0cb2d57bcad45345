import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, type BrowserContext, chromium, type Frame, type Page } from 'playwright-core'
import puppeteer from 'puppeteer-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { findChromium, launchChromium, launchOptions } from './browser.ts'
import { type BareSite, serveBare } from './pages/harmless/serve.ts'
import type { Answer } from './pages/harmless/steps.ts'
import { watchPage } from './pages/harmless/watch.ts'

let site: BareSite
let browser: Browser
let context: BrowserContext
let errors: string[]

beforeAll(async () => {
  ;[site, browser] = await Promise.all([serveBare(), launchChromium()])
})

afterAll(async () => {
  await browser.close()
  await site.close()
})

beforeEach(async () => {
  errors = []
  // Each is a private window: nothing of it is kept.
  context = await browser.newContext()
})

afterEach(async () => {
  await context.close()
  expect(errors).toEqual([])
})

/** A page or a frame, whoever drives the browser. */
interface Evaluating {
  evaluate(code: string): Promise<unknown>
}

type Steps = typeof import('./pages/harmless/steps.ts')

/** Does a step in a page or frame. As text, since this file's own imports are not the browser's. */
const run = <Name extends keyof Steps>(where: Evaluating, step: Name, ...given: Parameters<Steps[Name]>): ReturnType<Steps[Name]> =>
  where.evaluate(`import('${site.url}steps.js').then((steps) => steps.${step}(...${JSON.stringify(given)}))`) as ReturnType<Steps[Name]>

async function open(context: BrowserContext): Promise<Page> {
  const page = await context.newPage()
  // Rejections that nobody handled come this way too.
  page.on('pageerror', (error) => errors.push(String(error)))
  await page.goto(site.url)
  return page
}

/** Puts a frame into a page. */
async function openFrame(page: Page, src: string, sandbox?: string): Promise<Frame> {
  const [frame] = await Promise.all([
    page.waitForEvent('framenavigated', (frame) => frame.url() === src && frame !== page.mainFrame()),
    page.evaluate(
      ([src, sandbox]) => {
        const frame = document.createElement('iframe')
        if (sandbox !== undefined) frame.setAttribute('sandbox', sandbox)
        frame.src = src
        document.body.append(frame)
      },
      [src, sandbox] as const,
    ),
  ])
  await frame.waitForLoadState()
  return frame
}

describe('a page with the library', () => {
  test('has no globals that it had not before', async () => {
    const page = await open(context)
    const globals = () => page.evaluate(() => Object.getOwnPropertyNames(globalThis).sort())
    const before = await globals()
    expect(await run(page, 'live')).toContain('lost')
    expect(await globals()).toEqual(before)
  })

  test('listens for neither unload nor beforeunload', async () => {
    await context.addInitScript(watchPage)
    const page = await open(context)
    await run(page, 'live')
    const { types } = await page.evaluate(() => harm())
    expect(types).toContain('pagehide')
    expect(types.filter((type) => type.includes('unload'))).toEqual([])
    expect(await page.evaluate(() => [onunload, onbeforeunload])).toEqual([null, null])
  })

  test('is left without timers, channels and locks when its locks are closed, and without more listeners than those of one clock', async () => {
    await context.addInitScript(watchPage)
    const page = await open(context)
    expect(await run(page, 'openAndClose', 1)).toBe('deleted')
    const once = await page.evaluate(() => harm())
    expect(once).toMatchObject({ timers: 0, channels: 0 })
    expect(await run(page, 'openAndClose', 20)).toBe('deleted')
    expect(await page.evaluate(() => harm())).toEqual(once)
    expect(await page.evaluate(() => navigator.locks.query())).toEqual({ held: [], pending: [] })
    // What is still open shows.
    await run(page, 'take')
    const kept = await page.evaluate(() => harm())
    expect(Math.min(kept.listeners - once.listeners, kept.timers, kept.channels)).toBeGreaterThan(0)
  })

  test('sees no error that nobody handled, whatever becomes of its locks and its store', async () => {
    const page = await open(context)
    expect(await run(page, 'live')).toEqual(['lost', 'AbortError', 'timeout', 'closed', 'closed', 'lost', 'store', 'store', 'done'])
    // It holds one lock and waits for another when it is left, and its store fails from then on.
    await run(page, 'holdAndWait')
    await page.goto(`${site.url}?next`)
  })

  test('need not be isolated from other origins, nor public: a private window will do', async () => {
    const page = await open(context)
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(false)
    expect(await run(page, 'callAll')).toMatchObject({ acquire: 'done', request: 'done', query: 'done' })
  })
})

describe('where storage is not to be had', () => {
  /** Each call but `close`, which has nothing to do, rejects with an error of this kind, and nothing throws at once. */
  const allFail = ({ close, createLocks, ...calls }: Record<string, Answer>, error: object): void => {
    expect({ close, createLocks }).toEqual({ close: 'done', createLocks: 'done' })
    expect(Object.keys(calls)).toEqual(expect.arrayContaining(['acquire', 'tryAcquire', 'request', 'query', 'whenFree', 'transaction']))
    for (const [call, answer] of Object.entries(calls)) expect([call, answer]).toEqual([call, expect.objectContaining(error)])
  }
  const denied = { security: true, message: expect.stringContaining('allow-same-origin') }

  test('in a sandboxed frame, each call says SecurityError and what to do', async () => {
    const frame = await openFrame(await open(context), site.url, 'allow-scripts')
    expect(await frame.evaluate(() => origin)).toBe('null')
    allFail(await run(frame, 'callAll'), denied)
  })

  test('in a page whose storage the user blocks, each call says SecurityError and what to do', async () => {
    await inProfile({ profile: { default_content_setting_values: { cookies: 2 } } }, async (context) => {
      allFail(await run(await open(context), 'callAll'), denied)
    })
  })

  test('in a frame of another site whose storage is blocked, each call says SecurityError and what to do', async () => {
    await inProfile({ profile: { block_third_party_cookies: true, cookie_controls_mode: 1 } }, async (context) => {
      const page = await open(context)
      const frame = await openFrame(page, site.foreignUrl)
      allFail(await run(frame, 'callAll'), denied)
      expect(await run(page, 'callAll')).toMatchObject({ acquire: 'done' })
    })
  })

  test('in a frame of another site whose storage is partitioned, locks are its partition’s', async () => {
    // Playwright turns partitions off.
    const { args = [] } = await launchOptions()
    const browser = await puppeteer.launch({ executablePath: await findChromium(), args })
    try {
      const [own, page] = [await browser.newPage(), await browser.newPage()]
      await Promise.all([own.goto(site.foreignUrl), page.goto(site.url)])
      await page.evaluate((src) => {
        const frame = document.createElement('iframe')
        frame.src = src
        document.body.append(frame)
      }, site.foreignUrl)
      const frame = await page.waitForFrame(site.foreignUrl)
      expect(await run(own, 'take')).toBe(true)
      expect(await run(frame, 'take')).toBe(true)
      expect(await run(own, 'take')).toBe(false)
    } finally {
      await browser.close()
    }
  })

  test('in a page without IndexedDB, each call names it', async () => {
    await context.addInitScript(() => {
      for (const name of Object.getOwnPropertyNames(globalThis)) if (/^(indexedDB|IDB)/.test(name)) Reflect.deleteProperty(globalThis, name)
    })
    const page = await open(context)
    expect(await page.evaluate(() => 'indexedDB' in globalThis)).toBe(false)
    allFail(await run(page, 'callAll'), { security: false, message: expect.stringContaining('no IndexedDB') })
  })
})

/** A window of a profile with these preferences. */
async function inProfile(preferences: object, use: (context: BrowserContext) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'storelock-profile-'))
  try {
    mkdirSync(join(folder, 'Default'))
    writeFileSync(join(folder, 'Default/Preferences'), JSON.stringify(preferences))
    const context = await chromium.launchPersistentContext(folder, await launchOptions())
    try {
      await use(context)
    } finally {
      await context.close()
    }
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
}
