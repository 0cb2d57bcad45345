import { createLocks, type Guard, type HeldLock, type Locks } from 'storelock'
import { describe, expect, test } from 'vitest'
import type { Store } from '../../src/store.ts'
import { endings, places, stores } from './places.ts'
import { settle } from './world.ts'

/** A random number generator whose numbers are the same in each run. */
function dice(seed: number): (sides: number) => number {
  let state = seed
  return (sides) => {
    state = (state * 48_271) % 2_147_483_647
    return state % sides
  }
}

const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await settle()
}

/** A store whose answers arrive some turns of the event loop late. */
const late = (store: Store, roll: (sides: number) => number): Store =>
  Object.assign(Object.create(store), {
    async apply(commands: Parameters<Store['apply']>[0]) {
      const outcomes = await store.apply(commands)
      await turns(roll(4))
      return outcomes
    },
  })

for (const [name, open] of Object.entries(stores)) {
  describe.each(Object.keys(places))(`on ${name}, from %s,`, (place) => {
    test('1,000 waits that are cancelled at any moment leave nothing behind', async () => {
      const roll = dice(7)
      const shared = await open()
      endings.push(() => shared.close())
      const contexts = [1, 2].map(() => createLocks({ store: late(shared, roll), maxBackoff: 20, duration: 60_000 }))
      endings.push(() => Promise.all(contexts.map((locks) => locks.close())))
      const callers = contexts.map((locks) => places[place]?.(locks) ?? locks)

      const call = async (): Promise<void> => {
        const locks = callers[roll(callers.length)] ?? contexts[0]
        const stop = new AbortController()
        const { signal } = stop
        const key = `k${roll(3)}`
        const held: Promise<HeldLock | Guard | null | undefined> =
          roll(3) === 0
            ? (locks?.request(key, { signal, mode: roll(2) ? 'shared' : 'exclusive' }, () => undefined) as Promise<undefined>)
            : roll(2)
              ? (locks?.acquire(key, { signal }) as Promise<HeldLock>)
              : (locks?.reentrant(key).acquire({ signal }) as Promise<Guard>)
        const done = held.then(
          (lock) => lock?.release(),
          () => {},
        )
        await turns(roll(6))
        stop.abort()
        await done
      }

      for (let round = 0; round < 50; round++) await Promise.all(Array.from({ length: 20 }, call))
      // One round trip for the answers to the cancelled requests, and one for the commands that take those requests back.
      for (let trip = 0; trip < 2; trip++) await Promise.all(callers.map((locks) => locks.query()))
      const { held, pending } = await (contexts[0] as Locks).query()
      expect({ held, pending }).toEqual({ held: [], pending: [] })
    })
  })
}
