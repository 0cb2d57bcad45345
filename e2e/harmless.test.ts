import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { describeEachEngine, eachAfresh, needs } from './engines/each.ts'
import type { Tab } from './engines/engine.ts'
import { type BareSite, serveBare } from './pages/harmless/serve.ts'
import type { FrameStart, Steps } from './pages/harmless/start.ts'
import type { Answer } from './pages/harmless/steps.ts'

/** Does a step in a page. */
const run = <Name extends keyof Steps>(page: Tab, step: Name, ...given: Parameters<Steps[Name]>): ReturnType<Steps[Name]> =>
  page.evaluate(([step, given]) => start.doStep(step, given), [step, given] as const) as ReturnType<Steps[Name]>

/** Does a step in a frame that it puts into a page. */
const runInFrame = <Name extends keyof Steps>(page: Tab, frame: FrameStart, step: Name): ReturnType<Steps[Name]> =>
  page.evaluate(([frame, step]) => start.doStepInFrame(frame, step), [frame, step] as const) as ReturnType<Steps[Name]>

let site: BareSite
beforeAll(async () => {
  site = await serveBare()
})
afterAll(() => site.close())

describeEachEngine((engine) => {
  // After that, nothing that a page stored is kept, as in a private window.
  eachAfresh(engine)

  const open = (query = '') => engine().open(site.url + query)

  describe('a page with the library', () => {
    test('has no globals that it had not before', async () => {
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

    test('is left without timers, channels and locks when its locks are closed, and without more listeners than those of one clock', async () => {
      const page = await open('?watched')
      // A driver may have a timer in the page.
      const { timers } = await page.evaluate(() => harm())
      expect(await run(page, 'openAndClose', 1)).toBe('deleted')
      // A turn of the event loop may be waited for still; what would be left lasts for as long as a lease.
      const soon = { timeout: 3_000, interval: 50 }
      const once = await vi.waitFor(async () => {
        const harmed = await page.evaluate(() => harm())
        expect(harmed).toMatchObject({ timers, channels: 0 })
        return harmed
      }, soon)
      expect(await run(page, 'openAndClose', 20)).toBe('deleted')
      await vi.waitFor(async () => expect(await page.evaluate(() => harm())).toEqual(once), soon)
      expect(await page.evaluate(() => navigator.locks.query())).toEqual({ held: [], pending: [] })
      // What is still open shows.
      await run(page, 'take')
      const kept = await page.evaluate(() => harm())
      expect(Math.min(kept.listeners - once.listeners, kept.timers - timers, kept.channels)).toBeGreaterThan(0)
    })

    test('sees its locks lost, called off, refused and closed, and its store fail', async () => {
      const page = await open()
      expect(await run(page, 'live')).toEqual(['lost', 'AbortError', 'timeout', 'closed', 'closed', 'lost', 'store', 'store', 'done'])
    })

    test('sees no error that nobody handled, whatever becomes of its locks and its store', async ({ skip }) => {
      needs('errors', engine(), skip)
      const page = await open()
      await run(page, 'live')
      // It holds one lock and waits for another when it is left, and its store fails from then on.
      await run(page, 'holdAndWait')
      await page.navigate(`${site.url}?next`)
      expect(engine().errors).toEqual([])
    })

    test('gets no events of the locks that share its database, however many pages contend', async () => {
      const pages = [await open(), await open(), await open()]
      // Each alone first, so that it relies on what it remembers when the others come.
      for (const page of pages) expect(await run(page, 'shareDatabase', 6)).toEqual([])
      expect(await Promise.all(pages.map((page) => run(page, 'shareDatabase', 60)))).toEqual([[], [], []])
      expect(engine().errors).toEqual([])
    })

    test('need not be isolated from other origins, nor public: a private window will do', async () => {
      const page = await open()
      expect(await page.evaluate(() => crossOriginIsolated)).toBe(false)
      expect(await run(page, 'callAll')).toMatchObject({ acquire: 'done', request: 'done', query: 'done' })
    })
  })

  describe('where storage is denied', () => {
    /** Each call but `close`, which has nothing to do, rejects with an error of this kind, and nothing throws at once. */
    const allFail = ({ close, createLocks, ...calls }: Record<string, Answer>, error: object): void => {
      expect({ close, createLocks }).toEqual({ close: 'done', createLocks: 'done' })
      expect(Object.keys(calls)).toEqual(expect.arrayContaining(['acquire', 'tryAcquire', 'request', 'query', 'whenFree', 'transaction']))
      for (const [call, answer] of Object.entries(calls)) expect([call, answer]).toEqual([call, expect.objectContaining(error)])
    }
    const denied = { security: true, message: expect.stringContaining('allow-same-origin') }

    test('in a sandboxed frame, each call rejects with SecurityError and what to do', async () => {
      const page = await open()
      expect(await runInFrame(page, { src: site.url, sandbox: 'allow-scripts' }, 'originOf')).toBe('null')
      allFail(await runInFrame(page, { src: site.url, sandbox: 'allow-scripts' }, 'callAll'), denied)
    })

    test('in a page whose storage the user blocks, each call rejects with SecurityError and what to do', async ({ skip }) => {
      needs('settings', engine(), skip)
      await engine().deny('all')
      allFail(await run(await open(), 'callAll'), denied)
    })

    test('in a frame of another site whose storage is blocked, each call rejects with SecurityError and what to do', async ({ skip }) => {
      needs('settings', engine(), skip)
      await engine().deny('foreign')
      const page = await open()
      allFail(await runInFrame(page, { src: site.foreignUrl }, 'callAll'), denied)
      expect(await run(page, 'callAll')).toMatchObject({ acquire: 'done' })
    })

    test('in a frame of another site whose storage is partitioned, locks are its partition’s', async () => {
      const [own, page] = [await engine().open(site.foreignUrl), await open()]
      expect(await run(own, 'take')).toBe(true)
      expect(await runInFrame(page, { src: site.foreignUrl }, 'take')).toBe(true)
      expect(await run(own, 'take')).toBe(false)
    })

    test('in a page without IndexedDB, each call names it', async () => {
      const page = await open('?poor')
      expect(await page.evaluate(() => 'indexedDB' in globalThis)).toBe(false)
      allFail(await run(page, 'callAll'), { security: false, message: expect.stringContaining('no IndexedDB') })
    })
  })
})
