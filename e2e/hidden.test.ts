import type { Page } from 'puppeteer-core'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { Clock, HeldLock, LockWarning } from '../src/index.ts'
import { type Background, startBackground } from './background.ts'

// Tabs in the background, whose timers fall to one a minute after as many seconds. Times in ms.
const grace = 5
const duration = 3_000

let browser: Background

beforeAll(async () => {
  browser = await startBackground(grace)
})

afterAll(() => browser.close())

afterEach(() => expect(browser.errors.splice(0)).toEqual([]))

/** Has a page hold a lock `kept`, and another `plain` by plain timers; `warnings` are those of the first. */
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

/** Resolves when so many workers run in a page. */
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

test('a hidden page keeps its lock, and would lose it by plain timers', async () => {
  const page = await browser.open()
  await hold(page, duration)
  await browser.hide(page)
  while (await page.evaluate(() => plain.isHeld()));
  expect(await page.evaluate(() => [kept.isHeld(), kept.signal.aborted])).toEqual([true, false])
  await page.close()
})

test('a page has a worker only while it is hidden and there is something to wait for', async () => {
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

test('a page that may not start such a worker is told so once, and keeps its lock by plain timers while those do', async () => {
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

declare global {
  var kept: HeldLock
  var plain: HeldLock
  var warnings: LockWarning[]
  var violated: (blocked: string) => void
}
