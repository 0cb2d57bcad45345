import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { serve } from '../src/server/index.ts'
import { memoryStore } from '../src/stores/memory.ts'
import { storeSuite } from '../src/testing/index.ts'
import { describeEachEngine, eachAfresh, needs } from './engines/each.ts'
import { insecureHost, type Tab } from './engines/engine.ts'
import type { Entry } from './pages/entries.ts'
import { react19 } from './pages/frameworks/frameworks.ts'
import { serveFramework } from './pages/frameworks/serve.ts'
import type { Site } from './pages/serve.ts'

/** The URL of the same page under a host name that the browser does not trust as this machine. */
function insecure(url: string): string {
  const there = new URL(url)
  there.hostname = insecureHost
  return there.href
}

describeEachEngine((engine) => {
  beforeEach(({ skip }) => needs('insecure', engine(), skip))
  eachAfresh(engine)

  const page = () => insecure(new URL('entries.html', engine().page).href)
  const without = { isSecureContext: false, locks: false, randomUUID: false, serviceWorker: false }
  const open = async (): Promise<Tab> => {
    const tab = await engine().open(page())
    expect(await tab.evaluate(() => entries.found())).toEqual(without)
    return tab
  }

  describe('a page loaded over plain http, without Web Locks, random UUIDs and service workers', () => {
    test.each<Entry>(['indexeddb', 'http', 'dedicated worker', 'shared worker', 'web-locks', 'memory', 'testing'])(
      'takes and releases a lock by %s, and so does a second page, which has to wait for it',
      async (entry) => {
        const server = entry === 'http' ? await serve(memoryStore(), { origins: [new URL(page()).origin] }) : undefined
        try {
          const use = async (): Promise<Tab> => {
            const tab = await open()
            await tab.evaluate(([entry, url]) => entries.use(entry, url), [entry, server?.url] as const)
            return tab
          }
          const one = await use()
          // Tabs do not share the locks of these two entries.
          const two = entry === 'memory' || entry === 'testing' ? one : await use()
          expect(await one.evaluate(() => entries.take(false))).toBe(true)
          expect(await two.evaluate(() => entries.take(true))).toBe(false)
          const wait = two.evaluate(() => entries.take(false))
          await one.evaluate(() => entries.release())
          expect(await wait).toBe(true)
          await two.evaluate(() => entries.release())
        } finally {
          await server?.close()
        }
      },
    )

    test('passes the store suite, with a database of the store’s own and with a user’s', async () => {
      const tab = await open()
      const names = storeSuite(() => Promise.reject(new Error('only names are wanted'))).map(({ name }) => name)
      for (const kind of ['own', 'user'] as const)
        for (const name of names) await tab.evaluate(([kind, name]) => entries.runFact(kind, name), [kind, name] as const)
    })
  })

  describe('a page with React, loaded over plain http', () => {
    let site: Site
    beforeAll(async () => {
      site = await serveFramework(react19)
    })
    afterAll(() => site.close())

    test('holds a lock while its component is mounted, and a second page waits for it', async () => {
      const [one, two] = [await engine().open(insecure(site.url)), await engine().open(insecure(site.url))]
      expect(await one.evaluate(() => isSecureContext)).toBe(false)
      await one.evaluate(() => panel.mount({}))
      await one.evaluate(() => panel.shows('state', 'held'))
      await two.evaluate(() => panel.mount({}))
      await two.evaluate(() => panel.shows('state', 'waiting'))
      await one.evaluate(() => panel.unmount())
      await two.evaluate(() => panel.shows('state', 'held'))
    })
  })
})
