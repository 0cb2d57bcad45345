import { describe, expect, test } from 'vitest'
import { describeEachEngine, eachAfresh, needs } from './engines/each.ts'
import type { Tab } from './engines/engine.ts'
import { checkTurns } from './ledger.ts'
import { makeTab, type TabStart } from './tabs/tab.ts'
import { aborted, acquire, healthy, lost, openTabs, query, queued, release, stateOf } from './tabs/tabs.ts'

// Real tabs, which share one IndexedDB database. Times in ms.
const duration = 3_000
const lease = 4_000
const maxBackoff = 100
/** How much the clocks of two tabs may differ. */
const skew = 20

const renew = (page: Tab) => page.evaluate(() => tab.renew())

const now = (): number => performance.timeOrigin + performance.now()

/** Prints how long a take-over took, if FIGURES is set. */
const figure = (what: string, took: number): void => {
  if (process.env.FIGURES) console.log(`${what}: ${Math.round(took)} ms, lease ${lease} ms`)
}

describeEachEngine((engine) => {
  eachAfresh(engine)

  const several = (count: number, options?: Partial<TabStart>) => openTabs(engine(), count, { duration, maxBackoff, ...options })
  const pair = async (options?: Partial<TabStart>) => (await several(2, options)) as [Tab, Tab]

  describe('tabs on one IndexedDB database', () => {
    test('hold a lock one at a time, each with a higher token, and each gets its turn', async () => {
      const turns = 15
      const pages = await several(4, { duration: 6_000, maxBackoff: 1_000 })
      await Promise.all(pages.map((page) => page.evaluate((turns) => tab.turns('l', turns), turns)))

      checkTurns((await pages[0]?.evaluate(() => tab.ledger())) ?? [], 4, turns)
    })

    test('get the lock in the order in which they asked', async () => {
      const [holder, ...waiters] = (await several(4)) as [Tab, ...Tab[]]
      await acquire(holder)
      const order: number[] = []
      const waits = []
      for (const [index, page] of waiters.entries()) {
        const wait = acquire(page).then(async ({ token }) => {
          order.push(index)
          await release(page)
          return token
        })
        waits.push(wait)
        await queued(index + 1, holder)
      }
      await release(holder)
      const tokens = await Promise.all(waits)
      expect(order).toEqual([0, 1, 2])
      expect(tokens).toEqual(tokens.toSorted((a, b) => a - b))
    })

    test('take over at once from a holder that crashed, with a higher token', async ({ skip }) => {
      needs('crash', engine(), skip)
      const long = 20_000
      const [holder, waiter] = await pair({ duration: long })
      const { token } = await acquire(holder)
      const wait = acquire(waiter)
      await queued(1, waiter)
      await holder.crash()
      const crashedAt = now()
      const next = await wait
      figure('take-over after a crash', next.at - crashedAt)
      expect(next.token).toBeGreaterThan(token)
      expect(next.at - crashedAt).toBeLessThan(long / 4)
      expect(await stateOf(waiter)).toEqual(healthy)
    })

    test('hold a lock two at a time with a limit of two, and a third takes over at once when one of them crashes', async ({ skip }) => {
      needs('crash', engine(), skip)
      const long = 20_000
      const [first, second, third] = (await several(3, { duration: long })) as [Tab, Tab, Tab]
      const take = (page: Tab) => page.evaluate(() => tab.acquire('l', { limit: 2 }))
      const tokens = [(await take(first)).token, (await take(second)).token]
      const wait = take(third)
      await queued(1, first)
      expect((await query(first)).held.map(({ token, limit }) => [token, limit])).toEqual(tokens.map((token) => [token, 2]))
      await second.crash()
      const crashedAt = now()
      const next = await wait
      expect(next.token).toBeGreaterThan(Math.max(...tokens))
      expect(next.at - crashedAt).toBeLessThan(long / 4)
      expect([await stateOf(first), await stateOf(third)]).toEqual([healthy, healthy])
    })

    test('take over from a holder that hangs, and it knows of the loss in the first line that it runs', async () => {
      const [holder, waiter] = await pair()
      const { token } = await acquire(holder)
      const wait = acquire(waiter)
      await queued(1, waiter)
      const renewed = await renew(holder)
      const firstLook = holder.evaluate((ms) => tab.block(ms), 2 * lease + maxBackoff)
      const hangs = now()
      const next = await wait
      figure('take-over from a tab that hangs', next.at - hangs)
      expect(next.token).toBeGreaterThan(token)
      expect(next.at - renewed).toBeGreaterThanOrEqual(lease - skew)
      expect(next.at - hangs).toBeLessThan(2 * lease + maxBackoff)

      expect(await firstLook).toEqual(lost)
      await release(holder)
      expect(await stateOf(holder)).toEqual(lost)
      await renew(waiter)
      expect(await stateOf(waiter)).toEqual(healthy)
      expect((await query(waiter)).held).toMatchObject([{ token: next.token }])
      await release(waiter)
      expect((await acquire(holder)).token).toBeGreaterThan(next.token)
    })

    test.each([
      ['is closed', (page: Tab) => page.close()],
      ['is reloaded', (page: Tab) => page.reload()],
      ['goes to another page', (page: Tab) => page.navigate('about:blank')],
    ])('a holder whose page %s hands over promptly', async (what, leave) => {
      const long = 20_000
      const [holder, waiter] = await pair({ duration: long })
      const { token } = await acquire(holder)
      const wait = acquire(waiter)
      await queued(1, waiter)
      const left = now()
      const leaving = leave(holder)
      const next = await wait
      await leaving
      figure(`hand-over when a page ${what}`, next.at - left)
      expect(next.token).toBeGreaterThan(token)
      expect(next.at - left).toBeLessThan(long / 4)
    })

    test('a waiter whose page is closed does not keep the lock from the waiter behind it', async () => {
      // If the closed page were still in the queue, it would be granted the lock and have 30 s to confirm.
      const [holder, closed, last] = (await several(3, { duration: 60_000, maxBackoff: 10_000 })) as [Tab, Tab, Tab]
      await acquire(holder)
      acquire(closed).catch(() => {})
      await queued(1, holder)
      const wait = acquire(last)
      await queued(2, holder)
      await closed.close()
      const released = await release(holder)
      expect((await wait).at - released).toBeLessThan(20_000)
    })

    test('a reloaded page takes its lock again, with a higher token', async () => {
      const [page] = (await several(1)) as [Tab]
      const { token } = await acquire(page)
      await page.reload()
      await page.evaluate(makeTab, { name: 'tab 1', duration, maxBackoff })
      expect((await acquire(page)).token).toBeGreaterThan(token)
    })

    test('a holder whose database another tab deletes is notified, and does not block the deletion', async () => {
      const [holder, other] = await pair()
      const { token } = await acquire(holder)
      const deleted = now()
      expect(await other.evaluate(() => tab.deleteDatabase())).toEqual({ blocked: false })
      const { code, at } = await aborted(holder)
      figure('loss after the deletion of the database', at - deleted)
      expect(code).toBe('lost')
      expect(at - deleted).toBeLessThan(2 * lease)
      expect(await stateOf(holder)).toEqual(lost)
      await release(holder)
      expect((await acquire(other)).token).toBeGreaterThan(token)
    })

    test('exclude each other also under one label', async () => {
      const [one, other] = await pair({ label: 'editor' })
      const { token } = await acquire(one)
      expect(await other.evaluate(() => tab.tryAcquire('l'))).toBeNull()
      expect(await other.evaluate(() => tab.acquire('l', { timeout: 200 }).catch((error) => error.code))).toBe('timeout')
      expect((await query(other)).held).toMatchObject([{ token, label: 'editor' }])
      expect(await stateOf(one)).toEqual(healthy)
      await release(one)
      expect((await acquire(other)).token).toBeGreaterThan(token)
    })

    test.each([
      ['held', true],
      ['free', false],
    ])('a hundred waits for a lock that is %s, cancelled at once, leave no trace', async (_, held) => {
      const [holder, other] = await pair()
      if (held) await acquire(holder)
      const reasons = await other.evaluate(() => tab.callOff('l', 100))
      expect(new Set(reasons.slice(0, 100))).toEqual(new Set(['at once']))
      expect(reasons.slice(100).filter((reason) => reason !== 'under way' && reason !== 'acquired')).toEqual([])
      await queued(0, holder)
      if (held) await release(holder)
      expect((await query(holder)).held).toEqual([])
      await acquire(holder)
      expect((await query(other)).held).toHaveLength(1)
    })
  })
})
