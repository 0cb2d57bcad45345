import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { HeldLock } from '../../src/locks/types.ts'
import { duration, World } from '../locks/world.ts'
import { Page } from './page.ts'

const delay = fc.integer({ min: 0, max: 2 * duration })
const step = fc.record({ pass: fc.integer({ min: 1, max: duration / 2 }), does: fc.constantFrom('block', 'resume', 'stop', 'go', 'cut', 'nothing') })

test(
  'a page never believes that it holds a lock for longer than the worker’s last renewal lasts, however late messages are',
  () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: -1e6, max: 1e6 }),
        fc.array(fc.oneof({ weight: 5, arbitrary: fc.integer({ min: 0, max: 20 }) }, delay), { minLength: 1, maxLength: 30 }),
        fc.array(step, { minLength: 1, maxLength: 30 }),
        async (ahead, delays, steps) => {
          const world = new World()
          const worker = world.process({ beacon: false })
          // When the last command was sent that can have renewed a lock.
          let renewedAt = 0
          const { link } = worker
          const apply = link.apply.bind(link)
          link.apply = (commands) => {
            if (commands.some(({ type }) => type !== 'release' && type !== 'end')) renewedAt = world.base.monotonic()
            return apply(commands)
          }
          let message = 0
          const latency = (): number => delays[message++ % delays.length] ?? 0
          const page = new Page(world, worker, { ahead, latency, workerPatience: 3 * duration })
          const locks: HeldLock[] = []
          const note = (lock: HeldLock): unknown => locks.push(lock)
          page.locks.acquire('k').then(note, () => {})
          for (const { pass, does } of steps) {
            if (does === 'block') page.block()
            if (does === 'resume') page.resume()
            if (does === 'stop') worker.stop()
            if (does === 'go') worker.resume()
            if (does === 'cut') page.cut = true
            for (let passed = 0; passed < pass; passed += 10) {
              await world.pass(10)
              if (locks.some((lock) => lock.isHeld())) expect(world.base.monotonic()).toBeLessThan(renewedAt + duration)
            }
          }
          // Lets everything finish.
          page.cut = true
          page.resume()
          worker.resume()
          await world.pass(20 * duration)
        },
      ),
      { numRuns: 200 },
    ),
  60_000,
)
