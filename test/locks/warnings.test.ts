import { createLocks } from 'storelock'
import { memoryStore } from 'storelock/stores/memory'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Page } from '../worker/page.ts'
import { duration, World } from './world.ts'

let world: World
const shown = (): string[] => vi.mocked(console.warn).mock.calls.map(([text]) => String(text))

beforeEach(() => {
  world = new World()
  vi.spyOn(console, 'warn').mockImplementation(() => {})
})

afterEach(() => {
  vi.restoreAllMocks()
})

/** Acquires a lock whose renewals fail, succeed again, and fail once more. */
async function failTwice(options: object): Promise<void> {
  const { locks, link } = world.process(options)
  await locks.acquire('k')
  for (let time = 0; time < 2; time++) {
    link.break('fail', 'beat')
    await world.pass(duration / 4)
    link.mend()
    await world.pass(duration / 4)
  }
  // The session waits for its own lock.
  locks.acquire('k').catch(() => {})
  await world.pass(2 * duration)
}

describe('without `onWarning`', () => {
  test.each([
    ['that is left out', { onWarning: undefined }],
    ['in another namespace', { onWarning: undefined, namespace: 'app' }],
  ])('%s, the console shows the first warning of each type, and how to silence it', async (_, options) => {
    await failTwice(options)
    expect(shown()).toEqual([
      expect.stringMatching(/^storelock: renewal warning \(k\): .*disk I\/O error.*onWarning\(\) \{\}/),
      expect.stringMatching(/^storelock: deadlock warning \(k\): .*onWarning\(\) \{\}/),
    ])
  })

  test('each `Locks` warns for itself', async () => {
    await failTwice({ onWarning: undefined })
    const { length } = shown()
    world = new World()
    await failTwice({ onWarning: undefined })
    expect(shown()).toHaveLength(2 * length)
  })

  test('locks that a worker keeps warn in the page, and not in the worker', async () => {
    const worker = world.process()
    const page = new Page(world, worker, { onWarning: undefined })
    await page.locks.acquire('k')
    worker.link.break('fail', 'beat')
    await world.pass(duration / 2)
    expect(shown()).toEqual([expect.stringMatching(/^storelock: renewal warning \(k\)/)])
    expect(worker.warnings).toEqual([])
  })

  test('nothing is shown if nothing goes wrong', async () => {
    const locks = createLocks({ store: memoryStore() })
    await (await locks.acquire('k')).release()
    await locks.close()
    expect(shown()).toEqual([])
  })
})

describe('with `onWarning`', () => {
  test('the console shows nothing, and the callback gets every warning', async () => {
    const types: string[] = []
    await failTwice({ onWarning: ({ type }: { readonly type: string }) => types.push(type) })
    expect([shown(), types]).toEqual([[], ['renewal', 'renewal', 'deadlock']])
  })

  test('that does nothing, all is silent', async () => {
    await failTwice({ onWarning() {} })
    expect(shown()).toEqual([])
  })

  test('that is not a function, the locks are refused', () => {
    for (const onWarning of [null, 'warn']) expect(() => createLocks({ store: memoryStore(), onWarning: onWarning as never })).toThrow(TypeError)
  })
})
