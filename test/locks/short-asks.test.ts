import { createLocks, type Json, type Locks } from 'storelock'
import { describe, expect, test } from 'vitest'
import { endings, places, stores } from './places.ts'

const waysOut: Record<string, (asker: Locks, ask: Json) => Promise<unknown>> = {
  'has a timeout of 1 ms': (asker, ask) => asker.acquire('k', { ask, timeout: 1 }),
  'is aborted in the same turn'(asker, ask) {
    const stop = new AbortController()
    const wait = asker.acquire('k', { ask, signal: stop.signal })
    stop.abort(new Error('never mind'))
    return wait
  },
}

for (const [name, open] of Object.entries(stores)) {
  describe.each(Object.keys(places))(`on ${name}, from %s,`, (place) => {
    /** Makes the locks of a new context. */
    const contextOn = (store: Parameters<typeof createLocks>[0]['store'], hints: boolean): Locks => {
      const locks = createLocks({
        store: hints ? store : Object.assign(Object.create(store), { channel: undefined }),
        ...{ duration: 2_000, maxBackoff: 100, label: 'the asker' },
      })
      endings.push(() => locks.close())
      return places[place]?.(locks) ?? locks
    }

    describe.each([true, false])('with hints: %s,', (hints) => {
      test.each(Object.entries(waysOut))('a release request whose waiter %s reaches the holder once', async (_, giveUp) => {
        const store = await open()
        endings.push(() => store.close())
        const [holder, asker, other] = [contextOn(store, hints), contextOn(store, hints), contextOn(store, hints)]
        const heard: unknown[] = []
        let hear = (): void => {}
        const all = new Promise<void>((resolve) => {
          hear = resolve
        })
        const lock = await holder.acquire('k', {
          onReleaseRequested(ask, { name, mode, label, metadata }) {
            heard.push([ask, name, mode, label, metadata])
            if (ask === 'the last') hear()
          },
        })
        await expect(giveUp(asker, { please: null })).rejects.toThrow(/not free|never mind/)
        const last = other.acquire('k', { ask: 'the last', metadata: 7 })
        await all
        expect(heard).toEqual([
          [{ please: null }, 'k', 'exclusive', 'the asker', undefined],
          ['the last', 'k', 'exclusive', 'the asker', 7],
        ])
        expect(lock.isHeld()).toBe(true)
        await lock.release()
        await (await last).release()
        const record = await store.read('k')
        expect([record?.holders, record?.queue, record?.asked]).toEqual([[], [], undefined])
      })
    })
  })
}
