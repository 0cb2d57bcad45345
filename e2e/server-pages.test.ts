import type { BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { createLocks, type HeldLock } from '../src/index.ts'
import { type LockServer, serve } from '../src/server/index.ts'
import { httpStore } from '../src/stores/http.ts'
import { memoryStore } from '../src/stores/memory.ts'
import { startTabs, type Tabs } from './pages/tabs.ts'

// Pages of another origin than the lock server's. Nobody's lease ends within a test: in ms.
const duration = 300_000

let tabs: Tabs
let context: BrowserContext
let server: LockServer
const store = memoryStore()

beforeAll(async () => {
  tabs = await startTabs()
})

beforeEach(async () => {
  context = await tabs.newContext()
})

afterEach(async () => {
  await context.close()
  await server.close()
  expect(tabs.errors.splice(0)).toEqual([])
})

afterAll(() => tabs.close())

/** A page, and a server that lets in the pages of its origin, or not. */
async function openPage(allowed: boolean): Promise<Page> {
  const page = await tabs.open(context)
  const origin = await page.evaluate(() => location.origin)
  server = await serve(store, { origins: allowed ? [origin] : [] })
  return page
}

const acquire = (page: Page, name: string): Promise<number> =>
  page.evaluate(
    async ([url, name, duration]) => {
      const locks = storelock.createLocks({ store: storelock.httpStore(url), duration })
      return (await locks.acquire(name)).token
    },
    [server.url, name, duration] as const,
  )

/** Has a client in this process wait for a page's lock, until the page lets go. */
async function nextAfter(page: Page, name: string, leave: () => Promise<unknown>): Promise<{ token: number; next: HeldLock }> {
  const locks = createLocks({ store: httpStore(server.url), maxBackoff: 60_000 })
  const token = await acquire(page, name)
  const waiting = locks.acquire(name)
  while (!(await locks.query(name)).pending.length);
  await leave()
  const next = await waiting
  await locks.close()
  return { token, next }
}

test('a page of an allowed origin takes a lock, and says goodbye when it goes elsewhere', async () => {
  const page = await openPage(true)
  const { token, next } = await nextAfter(page, 'left', () => page.goto('about:blank'))
  expect(next.token).toBeGreaterThan(token)
})

test('a page says goodbye when its tab is closed', async () => {
  const page = await openPage(true)
  const { token, next } = await nextAfter(page, 'closed', () => page.close({ runBeforeUnload: true }))
  expect(next.token).toBeGreaterThan(token)
})

test('a page of another origin gets nothing, and changes nothing', async () => {
  const page = await openPage(false)
  const code = await page.evaluate(async (url) => {
    const locks = storelock.createLocks({ store: storelock.httpStore(url) })
    return await locks.tryAcquire('foreign', { timeout: 0 }).then(
      () => 'held',
      (error: { code?: string }) => error.code,
    )
  }, server.url)
  expect([code, await store.read('foreign')]).toEqual(['store', undefined])
})
