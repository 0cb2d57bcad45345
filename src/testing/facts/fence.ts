import { type Command, type Fenced, LockError } from '../../protocol/index.ts'
import type { FencedStore, Store } from '../../store.ts'
import { equal, outcome, rejects, truthy } from '../expect.ts'
import { beat, type Fact, line, release, request } from './play.ts'

/** A lock whose own context believes to the end that it holds it. */
const believing = (session: string, token: number, key = 'k'): Fenced => ({ name: key, key, session, token, assertHeld() {} })

/** A fact about stores with a fence; skipped for other stores. */
const fenced =
  (
    check: (tools: { store: FencedStore<unknown>; write(text: string): (tx: unknown) => unknown; written(): Promise<unknown> }) => Promise<void>,
  ): Fact =>
  async (store, { place: { fence } }) => {
    if (!fence) return
    const write = (text: string) => (tx: unknown) => fence.write(tx as never, text)
    await check({ store: store as FencedStore<unknown>, write, written: async () => fence.written() })
  }

/** Carries out commands that take a lock from `a`, and checks that `a`'s writes are refused from then on. */
const refusedAfter = (...taking: ((token: number) => Command)[]): Fact =>
  fenced(async ({ store, write, written }) => {
    const lock = believing('a', await line(store, 'a'))
    await store.apply([beat('b')])
    await store.transaction(lock, write('held'))
    for (const command of taking) await store.apply([command(lock.token)])
    await rejects(store.transaction(lock, write('not held')), 'lost')
    equal(await written(), 'held', 'what was written')
  })

/** J6: a write through a lock is accepted only while the record names that exact grant. */
export const fence: Record<string, Fact> = {
  'J6: a holder writes, and gets what the body returns': fenced(async ({ store, write, written }) => {
    const lock = believing('a', await line(store, 'a', 'b'))
    await store.transaction(lock, write('first'))
    const body = write('second')
    const result = await store.transaction(lock, (tx) => {
      const done = body(tx)
      return done instanceof Promise ? done.then(() => 7) : 7
    })
    equal([result, await written()], [7, 'second'], 'result, and what was written')
  }),

  'J6: a session that has released the lock cannot write': fenced(async ({ store, write, written }) => {
    await line(store, 'a')
    const released: Fenced = {
      ...believing('a', 1),
      assertHeld() {
        throw new LockError('not-held', 'it was released')
      },
    }
    await rejects(store.transaction(released, write('not held')), 'not-held')
    equal(await written(), undefined, 'what was written')
  }),

  'J6: a session whose lock was stolen cannot write, whatever it believes': refusedAfter(() => request('b', 1, { steal: true })),
  'J6: a session whose lock was revoked cannot write, even if the lock is free now': refusedAfter(() => ({ type: 'revoke', key: 'k' })),
  'J6: a session that was evicted for silence cannot write, even if the lock is free now': refusedAfter((token) => {
    return { type: 'expire', key: 'k', session: 'b', evidence: { token, seq: 1 } }
  }),
  'J6: a session that lost the lock and acquired it again cannot write through the old one': refusedAfter(
    () => ({ type: 'revoke', key: 'k' }),
    () => request('a', 2),
  ),
  'J6: a session that released the lock cannot write once another has it': refusedAfter(
    (token) => release('a', token),
    () => request('b'),
  ),
  'J6: a session that was ended as dead cannot write once another has the lock': refusedAfter(
    () => ({ type: 'end', session: 'a' }),
    () => request('b'),
  ),

  'J6: session and token must both be those of this key’s holder': fenced(async ({ store, write, written }) => {
    const token = await line(store, 'a')
    await store.apply([beat('b')])
    await store.apply([request('b', 1, { key: 'other' })])
    for (const lock of [believing('b', token), believing('a', token + 1), believing('a', token, 'other'), believing('a', 0)]) {
      await rejects(store.transaction(lock, write('not held')), 'lost')
    }
    await rejects(store.transaction(believing('a', token, 'no such key'), write('not held')), 'lost')
    equal(await written(), undefined, 'what was written')
  }),

  'J6: a grant with tokens in reserve lets its holder write with each of them, and with no other': fenced(async ({ store, write, written }) => {
    await store.apply([beat('a')])
    const { token } = outcome((await store.apply([request('a', 1, { reserve: 3 })]))[0], 'granted').holder
    for (const used of [token, token + 1, token + 3]) await store.transaction(believing('a', used), write(`with ${used - token}`))
    for (const other of [token - 1, token + 4]) await rejects(store.transaction(believing('a', other), write('not held')), 'lost')
    equal(await written(), 'with 3', 'what was written')
  }),

  'J6: renewals and waiters change nothing for the fence': fenced(async ({ store, write, written }) => {
    const lock = believing('a', await line(store, 'a', 'b'))
    await store.apply([beat('a'), { type: 'renew', key: 'k', session: 'a', token: lock.token, lease: 5_000 }])
    await store.transaction(lock, write('held'))
    equal(await written(), 'held', 'what was written')
  }),

  'J6: each of several shared holders can write until it loses the lock itself': fenced(async ({ store, write, written }) => {
    await store.apply([beat('a'), beat('b')])
    const shared = await store.apply([request('a', 1, { mode: 'shared' }), request('b', 1, { mode: 'shared' })])
    const [a, b] = shared.map((each) => outcome(each, 'granted').holder)
    truthy(a && b, 'two holders')
    await store.transaction(believing('a', a.token), write('a'))
    await store.apply([{ type: 'revoke', key: 'k', session: 'a' }])
    await rejects(store.transaction(believing('a', a.token), write('not held')), 'lost')
    await store.transaction(believing('b', b.token), write('b'))
    equal(await written(), 'b', 'what was written')
  }),

  'J6: each of several holders with a limit can write until it loses the lock itself, also once another has its place': fenced(
    async ({ store, write, written }) => {
      const two = { limit: 2 }
      await store.apply([beat('a'), beat('b'), beat('c')])
      const [first, second] = await store.apply([request('a', 1, two), request('b', 1, two), request('c', 1, two)])
      const [a, b] = [outcome(first, 'granted').holder.token, outcome(second, 'granted').holder.token]
      await store.transaction(believing('b', b), write('b'))
      await store.transaction(believing('a', a), write('a'))
      await store.apply([{ type: 'revoke', key: 'k', session: 'a' }])
      await rejects(store.transaction(believing('a', a), write('not held')), 'lost')
      const c = (await store.read('k'))?.holders.find(({ session }) => session === 'c')?.token ?? 0
      await store.transaction(believing('c', c), write('c'))
      await store.apply([release('c', c)])
      await store.transaction(believing('b', b), write('b again'))
      await rejects(store.transaction(believing('b', a), write('not held')), 'lost')
      equal(await written(), 'b again', 'what was written')
    },
  ),

  'J6: the body’s error is rethrown, and nothing is written': fenced(async ({ store, write, written }) => {
    const lock = believing('a', await line(store, 'a'))
    const mistake = new Error('a mistake')
    const thrown = await store
      .transaction(lock, () => {
        throw mistake
      })
      .catch((error) => error)
    truthy(thrown === mistake, 'the very error')
    await store.transaction(lock, write('after it'))
    equal(await written(), 'after it', 'what was written')
  }),

  'a closed store runs no fenced transaction': fenced(async ({ store, write }) => {
    const lock = believing('a', await line(store, 'a'))
    await (store as Store).close()
    await rejects(store.transaction(lock, write('not held')), 'closed')
  }),
}
