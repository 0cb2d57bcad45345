import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Command, LockView } from '../../src/protocol/index.ts'
import { Overseer } from '../../src/server/overseer.ts'
import { memoryStore } from '../../src/stores/memory.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const lease = 16_000

/** A server's observer, and a silent holder. */
async function silent(auto = true) {
  const store = memoryStore()
  await store.apply([
    { type: 'beat', session: 'silent', client: 'c', lease, opens: true },
    { type: 'request', key: 'k', session: 'silent', client: 'c', number: 1, mode: 'exclusive', confirm: 500 },
  ])
  const overseer = new Overseer(store, { act: (commands) => store.apply(commands), hint() {}, isClient: () => false, saw() {} }, auto)
  /** A client asks for the lock without waiting. @returns whether the holder was removed for it */
  const ask = async (): Promise<boolean> => {
    const cleared = await overseer.clearWay((await store.read('k')) as LockView, { mode: 'exclusive' })
    if (!cleared) overseer.attend('k')
    return cleared
  }
  return { store, overseer, ask }
}

test('earlier observation of a holder still counts when a client asks minutes later, without looks in between', async () => {
  const { store, overseer, ask } = await silent()
  const answers: boolean[] = []
  for (let asked = 0; asked < 5; asked++) {
    answers.push(await ask())
    await vi.advanceTimersByTimeAsync(60_000)
    expect(overseer.size).toBe(0)
  }
  expect(answers).toEqual([false, false, false, true, false])
  expect((await store.read('k'))?.holders).toEqual([])
  overseer.close()
})

test('observation starts again when a holder sends a beat, and with manual expiry no holder is removed', async () => {
  const { store, overseer, ask } = await silent()
  for (let asked = 0; asked < 6; asked++) {
    expect(await ask()).toBe(false)
    await vi.advanceTimersByTimeAsync(60_000)
    await store.apply([{ type: 'beat', session: 'silent', client: 'c', lease }])
  }
  overseer.close()
  const byHand = await silent(false)
  for (let asked = 0; asked < 6; asked++) {
    expect(await byHand.ask()).toBe(false)
    await vi.advanceTimersByTimeAsync(60_000)
  }
  byHand.overseer.close()
})

test('an abandoned session is challenged once and ended once, however many beats report it meanwhile', async () => {
  const store = memoryStore()
  await store.apply([
    { type: 'beat', session: 'gone', client: 'c', lease, opens: true },
    { type: 'beat', session: 'busy', client: 'c', lease: 3_600_000, opens: true },
  ])
  const acts: Command[] = []
  let carryOut = (): void => {}
  const act = async (commands: readonly Command[]) => {
    acts.push(...commands)
    await new Promise<void>((resolve) => {
      carryOut = resolve
    })
    return await store.apply(commands)
  }
  const overseer = new Overseer(store, { act, hint() {}, isClient: () => false, saw() {} }, true)
  /** Sends a beat every half a second for this many ms. */
  const beatFor = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 500) {
      const [outcome] = await store.apply([{ type: 'beat', session: 'busy', client: 'c', lease: 3_600_000 }])
      if (outcome?.type === 'beaten') overseer.sawStale(outcome.stale, performance.now())
      await vi.advanceTimersByTimeAsync(500)
    }
  }
  await beatFor(3 * lease)
  expect(acts).toEqual([{ type: 'challenge', session: 'gone' }])
  carryOut()
  await beatFor(150_000)
  expect(acts).toHaveLength(2)
  expect(acts[1]).toMatchObject({ type: 'end', session: 'gone' })
  carryOut()
  await vi.advanceTimersByTimeAsync(0)
  expect(await store.apply([{ type: 'end', session: 'gone', seq: -1 }])).toMatchObject([{ type: 'ended' }])
})
