import type { Command, Expire } from '../../protocol/index.ts'
import { equal, outcome } from '../expect.ts'
import { beat, type Fact, held, line, one, queued } from './play.ts'

/** The ways in which a session loses a lock or a place in the queue: evidence of its death or silence, its end, and an operator. */
export const evidence: Record<string, Fact> = {
  'a holder is evicted only on evidence that is still valid': async (store, { place }) => {
    if (place.observes) return
    const token = await line(store, 'a', 'b')
    const seq = (await store.read('k'))?.sessions.get('a')?.seq
    const expire = (evidence: Expire['evidence']): Command => ({ type: 'expire', key: 'k', session: 'b', evidence })
    equal(outcome(await one(store, expire({ token: token - 1, seq })), 'refused').reason, 'not-held', 'another token')
    await store.apply([beat('a')])
    equal(outcome(await one(store, expire({ token, seq })), 'refused').reason, 'live', 'an old counter')
    const done = outcome(await one(store, expire({ token, seq: (seq ?? 0) + 1 })), 'done')
    equal([held(done.record), done.evicted.map(({ session }) => session)], [['b'], ['a']], 'holder and evicted')
    equal(outcome(await one(store, beat('a')), 'beaten').session.evictions, 1, 'evictions')
  },

  'a waiter is dropped only on evidence that is still valid': async (store, { place }) => {
    if (place.observes) return
    await line(store, 'a', 'b')
    const expire = (seq: number): Command => ({ type: 'expire', key: 'k', evidence: { session: 'b', number: 1, seq } })
    equal(outcome(await one(store, expire(7)), 'refused').reason, 'live', 'another counter')
    outcome(await one(store, expire(1)), 'done')
    equal(queued(await store.read('k')), [], 'queue')
  },

  'a beat returns rows that look abandoned': async (store, { place }) => {
    if (place.observes) return
    await store.apply([beat('a'), { type: 'beat', session: 'gone', client: 'gone', lease: 1, opens: true }])
    const stale = async (): Promise<string[]> => outcome(await one(store, beat('a')), 'beaten').stale.map(({ id }) => id)
    let seen = await stale()
    for (let look = 0; look < 100 && !seen.length; look++) {
      await new Promise((resolve) => setTimeout(resolve, 5))
      seen = await stale()
    }
    equal(seen, ['gone'], 'rows')
    await store.apply([{ type: 'end', session: 'gone' }])
    equal(await stale(), [], 'rows after its end')
  },

  'a challenge asks for a beat': async (store, { place }) => {
    if (place.observes) return
    await line(store, 'a')
    outcome(await one(store, { type: 'challenge', session: 'a' }), 'challenged')
    equal((await store.read('k'))?.sessions.get('a')?.challenged, 1, 'challenged')
  },

  'a beat renews; an end removes the row and voids the session’s locks': async (store) => {
    await line(store, 'a', 'b')
    equal(outcome(await one(store, beat('a')), 'beaten').session.seq, 2, 'seq')
    outcome(await one(store, { type: 'end', session: 'a', seq: 1 }), 'alive')
    outcome(await one(store, { type: 'end', session: 'a' }), 'ended')
    outcome(await one(store, { type: 'beat', session: 'a', client: 'a', lease: 1_000 }), 'ended')
    equal((await store.read('k'))?.sessions.get('a'), undefined, 'row')
    await store.apply([{ type: 'withdraw', key: 'k', session: 'b', number: 9 }])
    equal(held(await store.read('k')), ['b'], 'holder')
  },

  'J9: a pin protects a silent holder, even if the pin came first': async (store, { place }) => {
    await store.apply([{ type: 'pin', key: 'k', entity: 'backup' }])
    const token = await line(store, 'a')
    const expire: Command = { type: 'expire', key: 'k', evidence: { token, seq: 1 } }
    equal(outcome(await one(store, expire), 'refused').reason, 'pinned', 'reason')
    await store.apply([{ type: 'unpin', key: 'k', entity: 'backup' }])
    if (!place.observes) outcome(await one(store, expire), 'done')
  },

  'J10: a revoke takes the lock it names; it succeeds if the lock is free, and is refused if another session holds it': async (store) => {
    outcome(await one(store, { type: 'revoke', key: 'k' }), 'done')
    await line(store, 'a')
    equal(outcome(await one(store, { type: 'revoke', key: 'k', session: 'b' }), 'refused').reason, 'not-owner', 'reason')
    outcome(await one(store, { type: 'revoke', key: 'k', session: 'a' }), 'done')
    equal(held(await store.read('k')), [], 'holders')
  },
}
