import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { describeEachEngine, eachQuiet, needs } from './engines/each.ts'
import type { Tab } from './engines/engine.ts'
import type { KeeperSettings, WorkerKind } from './pages/workers.ts'

/** In ms. Within a minute, only a proof of death can hand a lock over. */
const patient: KeeperSettings = { duration: 60_000, maxSilence: 60_000 }

const acquire = (page: Tab) => page.evaluate(() => wrapped.acquire('l'))
const release = (page: Tab) => page.evaluate(() => wrapped.lock.release())

/** Resolves when the lock has `count` waiters. */
const queued = (page: Tab, count: number): Promise<void> =>
  page.evaluate(async (count) => {
    while ((await wrapped.locks.query('l')).pending.length !== count);
  }, count)

describeEachEngine((engine) => {
  eachQuiet(engine)

  async function open(kind: WorkerKind, label: string, settings = patient): Promise<Tab> {
    const page = await engine().open(new URL('workers.html', engine().page).href)
    await page.evaluate(([kind, settings, label]) => startWrapped(kind, settings, label), [kind, settings, label] as const)
    return page
  }

  const pair = async (kind: WorkerKind, settings?: KeeperSettings) => [await open(kind, 'one', settings), await open(kind, 'two', settings)] as const

  describe.each<WorkerKind>(['dedicated', 'shared'])('tabs whose locks a %s worker keeps', (kind) => {
    /** Both stay open for all tests, since some engines open tabs slowly. A shared worker runs in the first tab's process and would crash with it. */
    let stayer: Tab
    let other: Tab
    beforeAll(async () => {
      ;[stayer, other] = await pair(kind)
    })
    afterAll(() => engine().reset())

    test('hold a lock one at a time, each with a higher token', async () => {
      const turns = async () => {
        const tokens: number[] = []
        for (let turn = 0; turn < 20; turn++) {
          await wrapped.locks.request('l', async (lock) => {
            const { held } = await wrapped.locks.query('l')
            if (held.length !== 1 || held[0]?.token !== lock.token) throw new Error('another holds it too')
            lock.assertHeld()
            tokens.push(lock.token)
          })
        }
        return tokens
      }
      const pages = [stayer, other, await open(kind, 'three')]
      const tokens = await Promise.all(pages.map((page) => page.evaluate(turns)))
      expect(new Set(tokens.flat()).size).toBe(60)
      for (const own of tokens) expect(own).toEqual(own.toSorted((a, b) => a - b))
    })

    test.for<[string, (page: Tab) => Promise<unknown>]>([
      ['is closed', (page) => page.close()],
      ['crashes', (page) => page.crash()],
      ['goes elsewhere', (page) => page.navigate('about:blank')],
    ])('pass a lock on at once when the tab that holds it %s', async ([how, leave], { skip }) => {
      if (how === 'crashes') needs('crash', engine(), skip)
      const leaver = await open(kind, 'leaver')
      const { token } = await acquire(leaver)
      const next = acquire(stayer)
      await queued(stayer, 1)
      await leave(leaver)
      expect((await next).token).toBeGreaterThan(token)
      await release(stayer)
    })

    test('do not hold up each other when one of them waits and then leaves', async () => {
      const leaver = await open(kind, 'leaver')
      const { token } = await acquire(stayer)
      await leaver.evaluate(() => void wrapped.acquire('l').catch(() => {}))
      await queued(stayer, 1)
      const wait = acquire(other)
      await queued(stayer, 2)
      await leaver.navigate('about:blank')
      await release(stayer)
      expect((await wait).token).toBeGreaterThan(token)
      await release(other)
    })

    test('keep a lock while they are blocked for longer than the lease, within maxSilence', async ({ skip }) => {
      needs('busy', engine(), skip)
      const page = await open(kind, 'blocked', { duration: 1_000, maxSilence: 60_000 })
      await acquire(page)
      const next = acquire(stayer)
      await queued(stayer, 1)
      await page.evaluate(() => wrapped.block(2_500))
      await page.evaluate(() => wrapped.lock.renew())
      expect(await page.evaluate(() => [wrapped.lock.isHeld(), wrapped.lock.signal.aborted])).toEqual([true, false])
      await release(page)
      await next
      await release(stayer)
    })

    test('lose a lock when they hang for longer than maxSilence, and the next tab gets it', async () => {
      const page = await open(kind, 'hung', { duration: 500, maxSilence: 500 })
      const { token } = await acquire(page)
      const next = acquire(stayer)
      await queued(stayer, 1)
      const hung = page.evaluate(() => wrapped.block(2_500))
      expect((await next).token).toBeGreaterThan(token)
      expect(await hung).toBe(false)
      expect((await page.evaluate(() => wrapped.aborted)).code).toBe('lost')
      await release(stayer)
    })
  })

  test('a page notices that its worker is terminated before another tab has the lock', async () => {
    const [one, two] = await pair('dedicated', { duration: 2_000, maxSilence: 2_000 })
    await acquire(one)
    const next = acquire(two)
    await queued(two, 1)
    await one.evaluate(() => wrapped.terminate())
    const { code, at } = await one.evaluate(() => wrapped.aborted)
    expect(code).toBe('lost')
    expect((await next).at).toBeGreaterThan(at)
  })
})
