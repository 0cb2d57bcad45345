import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Hold } from '../../src/locks/hold.ts'
import type { HeldLock } from '../../src/locks/types.ts'
import { duration, lease, settle, World } from '../locks/world.ts'
import { Page } from './page.ts'

const delay = fc.integer({ min: 0, max: 2 * duration })
const step = fc.record({ pass: fc.integer({ min: 1, max: duration / 2 }), does: fc.constantFrom('block', 'resume', 'stop', 'go', 'cut', 'nothing') })

test(
  'a page never believes that it holds when another may have the lock, however late messages are',
  () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: -1e6, max: 1e6 }),
        fc.array(fc.oneof({ weight: 5, arbitrary: fc.integer({ min: 0, max: 20 }) }, delay), { minLength: 1, maxLength: 30 }),
        fc.array(step, { minLength: 1, maxLength: 30 }),
        async (ahead, delays, steps) => {
          const world = new World()
          const worker = world.process({ beacon: false })
          let message = 0
          const latency = (): number => delays[message++ % delays.length] ?? 0
          const page = new Page(world, worker, { ahead, latency, workerPatience: 3 * duration })
          const locks: HeldLock[] = []
          page.locks.acquire('k').then(
            (lock) => locks.push(lock),
            () => {},
          )
          const other = world.process({ beacon: false, maxBackoff: 50 })
          await world.pass(1)
          other.locks.acquire('k').catch(() => {})
          for (const { pass, does } of steps) {
            if (does === 'block') page.block()
            if (does === 'resume') page.resume()
            if (does === 'stop') worker.stop()
            if (does === 'go') worker.resume()
            if (does === 'cut') page.cut = true
            for (let passed = 0; passed < pass; passed += 20) {
              await world.pass(20)
              const [lock] = locks
              if (!lock?.isHeld()) continue
              const holder = (await world.store.read('k'))?.holders[0]
              expect(holder?.token).toBe((lock as Hold).token)
            }
          }
          page.cut = true
          page.resume()
          worker.resume()
          await world.pass(3 * duration + 2 * lease)
          await settle()
        },
      ),
      { numRuns: 60 },
    ),
  60_000,
)
