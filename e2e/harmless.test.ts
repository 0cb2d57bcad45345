import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { describeEachEngine, eachAfresh, needs } from './engines/each.ts'
import type { Tab } from './engines/engine.ts'
import { type BareSite, serveBare } from './pages/harmless/serve.ts'
import type { FrameStart, Steps } from './pages/harmless/start.ts'
import type { Answer } from './pages/harmless/steps.ts'

/** Runs a step in a page. */
const run = <Name extends keyof Steps>(page: Tab, step: Name, ...given: Parameters<Steps[Name]>): ReturnType<Steps[Name]> =>
  page.evaluate(([step, given]) => start.doStep(step, given), [step, given] as const) as ReturnType<Steps[Name]>

/** Adds a frame to a page and runs a step in it. */
const runInFrame = <Name extends keyof Steps>(page: Tab, frame: FrameStart, step: Name): ReturnType<Steps[Name]> =>
  page.evaluate(([frame, step]) => start.doStepInFrame(frame, step), [frame, step] as const) as ReturnType<Steps[Name]>

let site: BareSite
beforeAll(async () => {
  site = await serveBare()
})
afterAll(() => site.close())

describeEachEngine((engine) => {
  // Each test starts with empty storage, as in a private window.
  eachAfresh(engine)

  const open = (query = '') => engine().open(site.url + query)

  describe('a page with the library', () => {
    test('gets no new globals', async () => {
      const page = await open()
      const globals = () => page.evaluate(() => Object.getOwnPropertyNames(globalThis).sort())
      const before = await globals()
      expect(await run(page, 'live')).toContain('lost')
      expect(await globals()).toEqual(before)
    })

    test('listens for neither unload nor beforeunload', async () => {
      const page = await open('?watched')
      await run(page, 'live')
      const { types } = await page.evaluate(() => harm())
      expect(types).toContain('pagehide')
      expect(types.filter((type) => type.includes('unload'))).toEqual([])
      expect(await page.evaluate(() => [onunload, onbeforeunload])).toEqual([null, null])
    })

    test('keeps no timer, channel or lock after its locks are closed, and only the listeners of one clock', async () => {
      const page = await open('?watched')
      // The driver may have a timer in the page.
      const { timers } = await page.evaluate(() => harm())
      expect(await run(page, 'openAndClose', 1)).toBe('deleted')
      // Some cleanup may need another turn of the event loop. A leak would last as long as a lease.
      const soon = { timeout: 3_000, interval: 50 }
      const once = await vi.waitFor(async () => {
        const harmed = await page.evaluate(() => harm())
        expect(harmed).toMatchObject({ timers, channels: 0 })
        return harmed
      }, soon)
      expect(await run(page, 'openAndClose', 20)).toBe('deleted')
      await vi.waitFor(async () => expect(await page.evaluate(() => harm())).toEqual(once), soon)
      expect(await page.evaluate(() => navigator.locks.query())).toEqual({ held: [], pending: [] })
      // The counts do notice what is still open.
      await run(page, 'take')
      const kept = await page.evaluate(() => harm())
      expect(Math.min(kept.listeners - once.listeners, kept.timers - timers, kept.channels)).toBeGreaterThan(0)
    })

    test('learns that its locks were lost, cancelled, refused or closed, and that its store failed', async () => {
      const page = await open()
      expect(await run(page, 'live')).toEqual(['lost', 'AbortError', 'timeout', 'closed', 'closed', 'lost', 'store', 'store', 'done'])
    })

    test('gets no unhandled error, whatever happens to its locks and its store', async ({ skip }) => {
      needs('errors', engine(), skip)
      const page = await open()
      await run(page, 'live')
      // When it is left, the page holds one lock and waits for another, and from then on its store fails.
      await run(page, 'holdAndWait')
      await page.navigate(`${site.url}?next`)
      expect(engine().errors).toEqual([])
    })

    test('gets no events of the locks that share its database, however many pages contend', async () => {
      const pages = [await open(), await open(), await open()]
      // Each page first runs alone, so that it has something cached when the others come.
      for (const page of pages) expect(await run(page, 'shareDatabase', 6)).toEqual([])
      expect(await Promise.all(pages.map((page) => run(page, 'shareDatabase', 60)))).toEqual([[], [], []])
      expect(engine().errors).toEqual([])
    })

    test('needs no cross-origin isolation and no persistent storage: a private window is enough', async () => {
      const page = await open()
      expect(await page.evaluate(() => crossOriginIsolated)).toBe(false)
      expect(await run(page, 'callAll')).toMatchObject({ acquire: 'done', request: 'done', query: 'done' })
    })
  })

  describe('where storage is denied', () => {
    /** Every call rejects with such an error, except `close`, which has nothing to do. No call throws synchronously. */
    const allFail = ({ close, createLocks, ...calls }: Record<string, Answer>, error: object): void => {
      expect({ close, createLocks }).toEqual({ close: 'done', createLocks: 'done' })
      expect(Object.keys(calls)).toEqual(expect.arrayContaining(['acquire', 'tryAcquire', 'request', 'query', 'whenFree', 'transaction']))
      for (const [call, answer] of Object.entries(calls)) expect([call, answer]).toEqual([call, expect.objectContaining(error)])
    }
    const denied = { security: true, message: expect.stringContaining('allow-same-origin') }

    test('in a sandboxed frame, each call rejects with SecurityError and advice', async () => {
      const page = await open()
      expect(await runInFrame(page, { src: site.url, sandbox: 'allow-scripts' }, 'originOf')).toBe('null')
      allFail(await runInFrame(page, { src: site.url, sandbox: 'allow-scripts' }, 'callAll'), denied)
    })

    test('in a page whose storage the user blocks, each call rejects with SecurityError and advice', async ({ skip }) => {
      needs('settings', engine(), skip)
      await engine().deny('all')
      allFail(await run(await open(), 'callAll'), denied)
    })

    test('in a frame of another site whose storage is blocked, each call rejects with SecurityError and advice', async ({ skip }) => {
      needs('settings', engine(), skip)
      await engine().deny('foreign')
      const page = await open()
      allFail(await runInFrame(page, { src: site.foreignUrl }, 'callAll'), denied)
      expect(await run(page, 'callAll')).toMatchObject({ acquire: 'done' })
    })

    test('in a frame of another site whose storage is partitioned, locks belong to the partition', async () => {
      const [own, page] = [await engine().open(site.foreignUrl), await open()]
      expect(await run(own, 'take')).toBe(true)
      expect(await runInFrame(page, { src: site.foreignUrl }, 'take')).toBe(true)
      expect(await run(own, 'take')).toBe(false)
    })

    test('in a page without IndexedDB, each call rejects and says so', async () => {
      const page = await open('?poor')
      expect(await page.evaluate(() => 'indexedDB' in globalThis)).toBe(false)
      allFail(await run(page, 'callAll'), { security: false, message: expect.stringContaining('no IndexedDB') })
    })
  })
})
