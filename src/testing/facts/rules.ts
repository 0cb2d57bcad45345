import type { Command } from '../../protocol/index.ts'
import { equal, outcome, truthy } from '../expect.ts'
import { beat, type Fact, held, line, one, queued, release, request, runAhead } from './play.ts'

/** The rules of a lock that a store could break. */
export const rules: Record<string, Fact> = {
  'a free lock is granted, and its record kept': async (store) => {
    const token = await line(store, 'a')
    const view = await store.read('k')
    equal([view?.key, view?.token, held(view), queued(view)], ['k', token, ['a'], []], 'record')
  },

  'a record comes with the session rows that it leans on': async (store) => {
    await line(store, 'a', 'b')
    await store.apply([beat('c')])
    const view = await store.read('k')
    equal([...(view?.sessions.keys() ?? [])].sort(), ['a', 'b'], 'rows')
    equal([view?.sessions.get('a')?.lease, view?.sessions.get('a')?.evictions], [1_000, 0], 'row')
    equal((await store.list())[0]?.sessions, view?.sessions, 'rows in a list')
  },

  'ownership is exclusive: the others wait in the order of their requests': async (store) => {
    await line(store, 'a', 'b', 'c')
    const view = await store.read('k')
    equal([held(view), queued(view)], [['a'], ['b 1-1', 'c 1-1']], 'holder and queue')
  },

  'T3: an ask is counted once in the holders’ rows, and its text is in the queue': async (store) => {
    await line(store, 'a')
    await store.apply([beat('b')])
    const asking = request('b', 1, { ask: { please: ['let', 'go'] } })
    await store.apply([asking, asking, request('b', 2)])
    const view = await store.read('k')
    equal([view?.sessions.get('a')?.asks, view?.sessions.get('b')?.asks], [1, 0], 'counts')
    equal(
      view?.queue.map(({ from, to, ask }) => [from, to, ask]),
      [
        [1, 1, { please: ['let', 'go'] }],
        [2, 2, undefined],
      ],
      'queue',
    )
    const beaten = outcome(await one(store, beat('a')), 'beaten')
    equal(beaten.session.asks, 1, 'what the next beat tells')
  },

  'T3: the ask of a withdrawn request stays in the record while a holder that was asked holds the lock': async (store) => {
    const token = await line(store, 'a')
    await store.apply([beat('b')])
    const ask = { please: [null, 'let go'] }
    await store.apply([request('b', 1, { ask, metadata: 'm' }), { type: 'withdraw', key: 'k', session: 'b', number: 1 }])
    const asked = async () => (await store.read('k'))?.asked?.map((each) => [each.session, each.from, each.to, each.ask, each.metadata, each.token])
    equal(await asked(), [['b', 1, 1, ask, 'm', token]], 'asks')
    await store.apply([release('a', token)])
    equal(await asked(), undefined, 'asks after the release')
  },

  'J2: a request cannot take a held lock, not even its own session’s': async (store) => {
    await line(store, 'a')
    equal(outcome(await one(store, request('a', 2, { ifAvailable: true })), 'refused').reason, 'busy', 'reason')
  },

  'a request with `ifNoQueue` waits for a holder, and is refused if another waiter is there': async (store) => {
    await line(store, 'a')
    await store.apply([beat('b'), beat('c')])
    equal((await one(store, request('b', 1, { ifNoQueue: true }))).type, 'queued', 'the first')
    equal(outcome(await one(store, request('c', 1, { ifNoQueue: true })), 'refused').reason, 'busy', 'the second')
    equal((await one(store, request('b', 1, { ifNoQueue: true }))).type, 'queued', 'the first, repeated')
    equal(queued(await store.read('k')), ['b 1-1'], 'queue')
  },

  'J7: a refused command returns the record that refused it': async (store) => {
    const token = await line(store, 'a')
    await store.apply([beat('b')])
    const refused = outcome(await one(store, request('b', 1, { ifAvailable: true })), 'refused')
    equal([held(refused.record), refused.record.holders[0]?.token], [['a'], token], 'record')
    equal(outcome(await one(store, release('b', token)), 'refused').reason, 'not-owner', 'a foreign release')
    equal(outcome(await one(store, release('a', token + 1)), 'refused').reason, 'not-held', 'a release of what is not held')
    equal(held(await store.read('k')), ['a'], 'holders')
  },

  'a release grants the lock to the next waiter and names it': async (store) => {
    const token = await line(store, 'a', 'b', 'c')
    const { grants } = outcome(await one(store, release('a', token)), 'done')
    equal(
      grants.map(({ session, number }) => [session, number]),
      [['b', 1]],
      'grants',
    )
    truthy((grants[0]?.token ?? 0) > token, 'a higher token')
    truthy(grants[0]?.unconfirmed, 'a grant that waits for its owner')
    const view = await store.read('k')
    equal([held(view), queued(view)], [['b'], ['c 1-1']], 'record')
  },

  'an unconfirmed grant is confirmed by a renewal': async (store) => {
    const token = await line(store, 'a', 'b')
    const [granted] = outcome(await one(store, release('a', token)), 'done').grants
    truthy(granted, 'a grant')
    equal(outcome(await one(store, { type: 'renew', key: 'k', session: 'b', token: granted.token }), 'renewed').holder.unconfirmed, undefined, 'mark')
    equal((await store.read('k'))?.holders[0]?.unconfirmed, undefined, 'mark in the record')
  },

  'a grant that is not confirmed sends its waiter to the back of the queue': async (store, { place }) => {
    if (place.observes) return
    const token = await line(store, 'a', 'b', 'c')
    const [granted] = outcome(await one(store, release('a', token)), 'done').grants
    truthy(granted, 'a grant')
    const lapsed: Command = { type: 'expire', key: 'k', session: 'c', evidence: { token: granted.token, seq: granted.seq } }
    outcome(await one(store, lapsed), 'done')
    const view = await store.read('k')
    equal([held(view), queued(view), view?.queue[0]?.lapses], [['c'], ['b 1-1'], 1], 'record')
  },

  'a lock keeps a lease of its own, and a renewal never shortens it': async (store) => {
    await store.apply([beat('a')])
    const { holder } = outcome(await one(store, request('a', 1, { lease: 5_000 })), 'granted')
    const renew = (lease: number): Command => ({ type: 'renew', key: 'k', session: 'a', token: holder.token, lease })
    await store.apply([renew(9_000), renew(2_000)])
    const [kept] = (await store.read('k'))?.holders ?? []
    equal([kept?.lease, kept?.seq], [9_000, -3], 'lease and counter')
  },

  'shared holders hold together, and wait behind an exclusive request': async (store) => {
    await store.apply(['a', 'b', 'c', 'd'].map(beat))
    const shared = { mode: 'shared' } as const
    const outcomes = await store.apply([request('a', 1, shared), request('b', 1, shared), request('c'), request('d', 1, shared)])
    equal(
      outcomes.map(({ type }) => type),
      ['granted', 'granted', 'queued', 'queued'],
      'outcomes',
    )
  },

  'with a limit of two, two hold together, each with a token of its own, and the others wait in order': async (store) => {
    await store.apply(['a', 'b', 'c', 'd'].map(beat))
    const outcomes = await store.apply(['a', 'b', 'c', 'd'].map((session) => request(session, 1, { limit: 2 })))
    equal(
      outcomes.map(({ type }) => type),
      ['granted', 'granted', 'queued', 'queued'],
      'outcomes',
    )
    const [a, b] = outcomes.slice(0, 2).map((each) => outcome(each, 'granted').holder)
    truthy(a && b && b.token > a.token, 'tokens that rise')
    const { grants } = outcome(await one(store, release('b', b.token)), 'done')
    equal(
      grants.map(({ session, token }) => [session, token > b.token]),
      [['c', true]],
      'grants',
    )
    const view = await store.read('k')
    equal([held(view), queued(view)], [['a', 'c'], ['d 1-1']], 'record')
    equal(
      [...(view?.holders ?? []), ...(view?.queue ?? [])].map(({ limit }) => limit),
      [2, 2, 2],
      'limits in the record',
    )
  },

  'a request with a limit other than that of the holders and waiters is refused, and changes nothing': async (store) => {
    await store.apply(['a', 'b', 'c'].map(beat))
    await store.apply([request('a', 1, { limit: 2 })])
    for (const more of [{}, { limit: 3 }, { steal: true }, { mode: 'shared' }] as const)
      equal(outcome(await one(store, request('b', 1, more)), 'refused').reason, 'limit', JSON.stringify(more))
    outcome(await one(store, request('b', 1, { limit: 2 })), 'granted')
    await store.apply([{ type: 'revoke', key: 'k' }])
    const token = await line(store, 'a')
    equal(outcome(await one(store, request('c', 1, { limit: 2 })), 'refused').reason, 'limit', 'a limit beside an exclusive holder')
    await store.apply([release('a', token)])
    outcome(await one(store, request('c', 1, { limit: 2 })), 'granted')
  },

  'if one of several holders ends, its place goes to the next waiter': async (store) => {
    await store.apply(['a', 'b', 'c'].map(beat))
    await store.apply(['a', 'b', 'c'].map((session) => request(session, 1, { limit: 2 })))
    await store.apply([{ type: 'end', session: 'a' }])
    await store.apply([{ type: 'withdraw', key: 'k', session: 'c', number: 9 }])
    equal(held(await store.read('k')), ['b', 'c'], 'holders')
  },

  'a repeated request never makes a second entry or grant': async (store) => {
    await line(store, 'a', 'b')
    equal(outcome(await one(store, request('a')), 'granted').repeated, true, 'repeated')
    outcome(await one(store, request('b')), 'queued')
    const view = await store.read('k')
    equal([held(view), queued(view)], [['a'], ['b 1-1']], 'record')
  },

  'a thousand requests of one session are one entry, and a withdrawal splits it': async (store) => {
    await line(store, 'a')
    await store.apply([beat('b')])
    await store.apply(Array.from({ length: 1_000 }, (_, index) => request('b', index + 1)))
    equal(queued(await store.read('k')), ['b 1-1000'], 'queue')
    await store.apply([{ type: 'withdraw', key: 'k', session: 'b', number: 500 }])
    equal(queued(await store.read('k')), ['b 1-499', 'b 501-1000'], 'queue')
  },

  'tokens rise with every grant': async (store) => {
    await store.apply([beat('a')])
    let last = 0
    for (let number = 1; number <= 20; number++) {
      const { token } = outcome(await one(store, request('a', number)), 'granted').holder
      truthy(token > last, `a token above ${last}`)
      last = token
      await store.apply([release('a', token)])
    }
  },

  'tokens rise although the clock is behind them and the record was swept': async (store) => {
    const last = await runAhead(store, 'a')
    await store.apply([{ type: 'sweep', key: 'k' }])
    equal(await store.read('k'), undefined, 'record')
    const { holder } = outcome(await one(store, request('a', 2)), 'granted')
    truthy(holder.token > last && holder.previous >= last, `a token above ${last}, and a memory of it`)
    equal(outcome(await one(store, { type: 'sweep', key: 'k' }), 'refused').reason, 'busy', 'sweeping what is held')
  },

  'F5: metadata is stored by value: later changes of the object do not matter': async (store) => {
    await store.apply([beat('a')])
    const metadata = { url: 'http://leader', list: [1, null, 'ü\u2028"'], nested: { yes: true } }
    const before = structuredClone(metadata)
    await store.apply([request('a', 1, { metadata })])
    metadata.url = 'changed'
    await store.apply([request('a', 2, { metadata: null })])
    const view = await store.read('k')
    equal([view?.holders[0]?.metadata, view?.queue[0]?.metadata], [before, null], 'metadata')
  },

  'F5: an ask is stored by value: later changes of the object do not matter': async (store) => {
    const token = await line(store, 'a', 'b')
    const ask = { why: 'a restart' }
    await store.apply([beat('c')])
    await store.apply([request('c', 1, { ask })])
    ask.why = 'changed'
    await store.apply([release('a', token)])
    equal((await store.read('k'))?.queue[0]?.ask, { why: 'a restart' }, 'ask')
  },
}
