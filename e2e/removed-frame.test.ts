import { describe, expect, test } from 'vitest'
import { serve } from '../src/server/index.ts'
import { memoryStore } from '../src/stores/memory.ts'
import { describeEachEngine, eachAfresh } from './engines/each.ts'
import type { Entry } from './pages/entries.ts'

describeEachEngine((engine) => {
  eachAfresh(engine)

  describe('the locks of a removed frame, to which its page still has references', () => {
    test.each<Entry>(['memory', 'indexeddb', 'http', 'dedicated worker', 'shared worker'])(
      'with the entry %s, end each call with the right error',
      async (entry) => {
        const page = new URL('entries.html', engine().page)
        const server = await serve(memoryStore(), { origins: [page.origin] })
        try {
          const tab = await engine().open(page.href)
          expect(await tab.evaluate((given) => entries.askInRemovedFrame(given), [entry, server.url] as const)).toEqual({
            acquire: 'closed',
            tryAcquire: 'closed',
            request: 'InvalidStateError',
            query: 'InvalidStateError',
            whenFree: 'closed',
            expire: 'closed',
            revoke: 'closed',
            pin: 'closed',
            sweep: 'closed',
            'acquire of a reentrant lock': 'closed',
            'tryAcquire of a reentrant lock': 'closed',
            ...(entry === 'indexeddb' && { transaction: 'lost' }),
            renew: 'lost',
            release: 'done',
            close: 'done',
          })
        } finally {
          await server.close()
        }
      },
    )
  })
})
