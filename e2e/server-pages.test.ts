import { afterEach, expect, test } from 'vitest'
import { createLocks, type HeldLock } from '../src/index.ts'
import { type LockServer, serve } from '../src/server/index.ts'
import { httpStore } from '../src/stores/http.ts'
import { memoryStore } from '../src/stores/memory.ts'
import { describeEachEngine, eachAfresh, needs } from './engines/each.ts'
import type { Tab } from './engines/engine.ts'

// Pages whose origin is not the lock server's. In ms; no lease ends within a test.
const duration = 300_000

describeEachEngine((engine) => {
  let server: LockServer
  const store = memoryStore()

  eachAfresh(engine)

  afterEach(() => server.close())

  /** Opens a tab, and starts a server that allows the origin of its page, or not. */
  async function openTab(allowed: boolean): Promise<Tab> {
    const { page } = engine()
    server = await serve(store, { origins: allowed ? [new URL(page).origin] : [] })
    return engine().open(page)
  }

  /** Takes a lock in a page, waits for it in this process, and calls `leave`. @returns the page's token and the lock that this process then gets */
  async function nextAfter(tab: Tab, name: string, leave: () => Promise<unknown>): Promise<{ token: number; next: HeldLock }> {
    const locks = createLocks({ store: httpStore(server.url), maxBackoff: 60_000 })
    const token = await tab.evaluate(
      async ([url, name, duration]) => {
        const locks = storelock.createLocks({ store: storelock.httpStore(url), duration })
        return (await locks.acquire(name)).token
      },
      [server.url, name, duration] as const,
    )
    const waiting = locks.acquire(name)
    while (!(await locks.query(name)).pending.length);
    await leave()
    const next = await waiting
    await locks.close()
    return { token, next }
  }

  test('a page of an allowed origin takes a lock, and ends its session when the user leaves it', async () => {
    const tab = await openTab(true)
    const { token, next } = await nextAfter(tab, 'left', () => tab.navigate('about:blank'))
    expect(next.token).toBeGreaterThan(token)
  })

  test('a page ends its session when its tab is closed', async ({ skip }) => {
    needs('goodbye', engine(), skip)
    const tab = await openTab(true)
    const { token, next } = await nextAfter(tab, 'closed', () => tab.close())
    expect(next.token).toBeGreaterThan(token)
  })

  test('a page may make and close locks any number of times: closed ones keep none of its few connections to the server', async () => {
    const tab = await openTab(true)
    const tokens = await tab.evaluate(async (url) => {
      const tokens: number[] = []
      // React components do so in Strict Mode. No browser opens more than six connections to a server.
      for (let turn = 0; turn < 12; turn++) {
        const locks = storelock.createLocks({ store: storelock.httpStore(url) })
        tokens.push((await locks.acquire('again')).token)
        await locks.close()
      }
      return tokens
    }, server.url)
    expect(new Set(tokens).size).toBe(12)
  })

  test('a page of another origin gets nothing, and changes nothing', async () => {
    const tab = await openTab(false)
    const code = await tab.evaluate(async (url) => {
      const locks = storelock.createLocks({ store: storelock.httpStore(url) })
      return await locks.tryAcquire('foreign', { timeout: 0 }).then(
        () => 'held',
        (error: { code?: string }) => error.code,
      )
    }, server.url)
    expect([code, await store.read('foreign')]).toEqual(['store', undefined])
  })
})
