import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { until } from './cli/program.ts'
import { describeEachEngine, eachAfresh, needs } from './engines/each.ts'
import type { Tab } from './engines/engine.ts'
import { startTokenServer, type TokenServer } from './recipes/token-server.ts'
import type {} from './recipes/tokens-page.ts'

describeEachEngine((engine) => {
  eachAfresh(engine)

  let server: TokenServer
  beforeEach(async () => {
    server = await startTokenServer()
  })
  afterEach(() => server.close())

  const three = async (): Promise<Tab[]> => {
    const url = new URL('../recipes/tokens.html', engine().page).href
    return [await engine().open(url), await engine().open(url), await engine().open(url)]
  }

  const counts = () => ({ refreshed: server.refreshed, refused: server.refused })

  describe('the recipe for tokens', () => {
    test('three tabs with an expired token refresh it once, and all get the new one', async () => {
      const tabs = await three()
      await tabs[0]?.evaluate((refresh) => tokens.expired(refresh), server.present)
      const found = await Promise.all(tabs.map((tab) => tab.evaluate((url) => tokens.token(url), server.url)))
      expect(found).toEqual(Array(3).fill('access-2'))
      expect(counts()).toEqual({ refreshed: 1, refused: 0 })
    })

    test('a tab that crashes during a refresh is replaced by a waiting tab', async ({ skip }) => {
      needs('crash', engine(), skip)
      const [first, second] = (await three()) as [Tab, Tab, Tab]
      await first.evaluate((refresh) => tokens.expired(refresh), server.present)
      server.gather(Number.POSITIVE_INFINITY)
      const lost = first.evaluate((url) => tokens.token(url), server.url).catch(() => 'lost')
      await until(() => server.waiting === 1)
      const breakOff = server.breaker()
      const found = second.evaluate((url) => tokens.token(url), server.url)
      await first.crash()
      // Not all engines close the connection of a tab that crashes.
      breakOff()
      await until(() => server.brokenOff === 1)
      server.gather(1)
      expect([await lost, await found]).toEqual(['lost', 'access-2'])
      expect(counts()).toEqual({ refreshed: 1, refused: 0 })
    })

    test('the lock is free for the next try after the server has refused', async () => {
      const [first, second] = (await three()) as [Tab, Tab, Tab]
      await first.evaluate(() => tokens.expired('stale'))
      for (const tab of [first, second]) {
        await expect(tab.evaluate((url) => tokens.token(url), server.url)).rejects.toThrow('refused with 400')
      }
      await second.evaluate((refresh) => tokens.expired(refresh), server.present)
      expect(await first.evaluate((url) => tokens.token(url), server.url)).toBe('access-2')
    })
  })

  test('a tab sees what the last holder wrote to localStorage and cookies, although changes arrive late', async () => {
    const tabs = await three()
    await Promise.all(tabs.map((tab) => tab.evaluate(() => tokens.countInStorage(30))))
    await Promise.all(tabs.map((tab) => tab.evaluate(() => tokens.countInCookie(30))))
    await until(async () => `${await tabs[0]?.evaluate(() => tokens.counted())}` === '90,90')
  })

  describe('supabase-js', () => {
    const sessions = async (locked: boolean): Promise<(string | undefined)[]> => {
      const tabs = await three()
      await tabs[0]?.evaluate((refresh) => tokens.expiredSession(refresh), server.present)
      return Promise.all(tabs.map((tab) => tab.evaluate(([url, locked]) => tokens.session(url, locked), [server.url, locked] as [string, boolean])))
    }

    test('refreshes once in three tabs with the lock of the recipe', async () => {
      expect(await sessions(true)).toEqual(Array(3).fill('access-2'))
      expect(counts()).toEqual({ refreshed: 1, refused: 0 })
    })

    test('refreshes in each tab without the lock', async () => {
      // The server answers only when all requests have arrived.
      server.gather(3)
      await sessions(false)
      expect(counts()).toEqual({ refreshed: 1, refused: 2 })
    })
  })
  test('SuperTokens refreshes once in three tabs with the lock of the recipe', async () => {
    const tabs = await three()
    for (const tab of tabs) await tab.evaluate((url) => tokens.superTokens(url), server.url)
    await tabs[0]?.evaluate((url) => tokens.signIn(url), server.url)
    expect(await Promise.all(tabs.map((tab) => tab.evaluate((url) => tokens.api(url), server.url)))).toEqual(Array(3).fill('access-2'))
    expect(counts()).toEqual({ refreshed: 1, refused: 0 })
  })
})
