import type { Command, Expire, LockView, Outcome, Request } from '../protocol/index.ts'
import type { Store } from '../store.ts'
import { equal, outcome, rejects, truthy } from './expect.ts'

/** An empty place for records, and what a test may do there. */
export interface StorePlace {
  /** Opens the place; when called again, another store on the same place. */
  open(): Store | Promise<Store>
  /** Puts something that is no record where that of `key` stands; without it, that fact is left out. */
  corrupt?(key: string): void | Promise<void>
  /** Reads the bytes that stand for `key`, to see that nothing was overwritten. Needed with `corrupt`. */
  raw?(key: string): unknown
  /** Set if a second `open()` does not see what the first one wrote. */
  alone?: boolean
  /** Clears the place away. */
  remove?(): void | Promise<void>
}

/** One thing that every store must do. `run` rejects if this one does not. */
export interface StoreFact {
  readonly name: string
  run(): Promise<void>
}

/**
 * What the contract in `Store` asks, as facts for any test runner or for none.
 *
 * @param makePlace makes a new, empty place for each fact
 * @example for (const { name, run } of storeSuite(() => ({ open: () => myStore() }))) test(name, run)
 */
export function storeSuite(makePlace: () => StorePlace | Promise<StorePlace>): StoreFact[] {
  return Object.entries(facts).map(([name, check]) => ({
    name,
    async run() {
      const place = await makePlace()
      const opened: Store[] = []
      const open = async (): Promise<Store> => {
        const store = await place.open()
        opened.push(store)
        return store
      }
      try {
        await check(await open(), { place, open })
      } finally {
        for (const store of opened) await store.close()
        await place.remove?.()
      }
    },
  }))
}

interface Tools {
  readonly place: StorePlace
  /** Another store on the same place. */
  open(): Promise<Store>
}

type Fact = (store: Store, tools: Tools) => Promise<void>

const beat = (session: string): Command => ({ type: 'beat', session, client: `client of ${session}`, lease: 1_000, opens: true })

const request = (session: string, number = 1, more: Partial<Request> = {}): Request => ({
  ...{ type: 'request', key: 'k', session, client: `client of ${session}`, number, mode: 'exclusive', confirm: 500 },
  ...more,
})

const release = (session: string, token: number, key = 'k'): Command => ({ type: 'release', key, session, token })

/** Carries out one command. */
const one = async (store: Store, command: Command): Promise<Outcome> => {
  const [only] = await store.apply([command])
  truthy(only, 'one outcome for one command')
  return only
}

/** Opens sessions, and has the first hold and the others wait. @returns the holder's token */
async function line(store: Store, ...sessions: string[]): Promise<number> {
  await store.apply(sessions.map(beat))
  const [first] = await store.apply(sessions.map((session) => request(session)))
  return outcome(first, 'granted').holder.token
}

const queued = (view: LockView | undefined): string[] => (view?.queue ?? []).map(({ session, from, to }) => `${session} ${from}-${to}`)
const held = (view: LockView | undefined): string[] => (view?.holders ?? []).map(({ session }) => session)

const facts: Record<string, Fact> = {
  'a key that nobody asked for has no record': async (store) => {
    equal(await store.read('k'), undefined, 'read')
    equal(await store.list(), [], 'list')
  },

  'no commands have no outcomes': async (store) => equal(await store.apply([]), [], 'outcomes'),

  'a free lock is granted, and its record kept': async (store) => {
    const token = await line(store, 'a')
    const view = await store.read('k')
    equal([view?.key, view?.token, held(view), queued(view)], ['k', token, ['a'], []], 'record')
  },

  'a record comes with the session rows that it leans on': async (store) => {
    await line(store, 'a', 'b')
    await store.apply([beat('c')])
    const view = await store.read('k')
    equal(Object.keys(view?.sessions ?? {}).sort(), ['a', 'b'], 'rows')
    equal([view?.sessions.a?.lease, view?.sessions.a?.evictions], [1_000, 0], 'row')
    equal((await store.list())[0]?.sessions, view?.sessions, 'rows in a list')
  },

  'ownership is exclusive: the others wait in the order they asked': async (store) => {
    await line(store, 'a', 'b', 'c')
    const view = await store.read('k')
    equal([held(view), queued(view)], [['a'], ['b 1-1', 'c 1-1']], 'holder and queue')
  },

  'J2: a request refuses any live record, the same session’s too': async (store) => {
    await line(store, 'a')
    equal(outcome(await one(store, request('a', 2, { ifAvailable: true })), 'refused').reason, 'busy', 'reason')
  },

  'J7: a refused command hands back the record that refused it': async (store) => {
    const token = await line(store, 'a')
    await store.apply([beat('b')])
    const refused = outcome(await one(store, request('b', 1, { ifAvailable: true })), 'refused')
    equal([held(refused.record), refused.record.holders[0]?.token], [['a'], token], 'record')
    equal(outcome(await one(store, release('b', token)), 'refused').reason, 'not-owner', 'a foreign release')
    equal(outcome(await one(store, release('a', token + 1)), 'refused').reason, 'not-held', 'a release of what is not held')
    equal(held(await store.read('k')), ['a'], 'holders')
  },

  'a release grants the next and names it': async (store) => {
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

  'a repeated request never makes a second': async (store) => {
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

  'tokens rise although the record was swept': async (store) => {
    const token = await line(store, 'a')
    equal(outcome(await one(store, { type: 'sweep', key: 'k' }), 'refused').reason, 'busy', 'sweeping what is held')
    await store.apply([release('a', token), { type: 'sweep', key: 'k' }])
    equal(await store.read('k'), undefined, 'record')
    for (const key of ['k', 'another']) {
      const { holder } = outcome(await one(store, request('a', 2, { key })), 'granted')
      truthy(holder.token > token && holder.previous >= token, `a token above ${token}, and a memory of it`)
    }
  },

  'a holder is evicted on evidence that still stands, and on none other': async (store) => {
    const token = await line(store, 'a', 'b')
    const seq = (await store.read('k'))?.sessions.a?.seq
    const expire = (evidence: Expire['evidence']): Command => ({ type: 'expire', key: 'k', session: 'b', evidence })
    equal(outcome(await one(store, expire({ token: token - 1, seq })), 'refused').reason, 'not-held', 'another token')
    await store.apply([beat('a')])
    equal(outcome(await one(store, expire({ token, seq })), 'refused').reason, 'live', 'an old counter')
    const done = outcome(await one(store, expire({ token, seq: (seq ?? 0) + 1 })), 'done')
    equal([held(done.record), done.evicted.map(({ session }) => session)], [['b'], ['a']], 'holder and evicted')
    equal(outcome(await one(store, beat('a')), 'beaten').session.evictions, 1, 'evictions')
  },

  'a beat renews, a challenge asks, an end leaves no row and voids what the session held': async (store) => {
    await line(store, 'a', 'b')
    equal(outcome(await one(store, beat('a')), 'beaten').session.seq, 2, 'seq')
    outcome(await one(store, { type: 'challenge', session: 'a' }), 'challenged')
    equal((await store.read('k'))?.sessions.a?.challenged, 2, 'challenged')
    outcome(await one(store, { type: 'end', session: 'a', seq: 1 }), 'alive')
    outcome(await one(store, { type: 'end', session: 'a' }), 'ended')
    outcome(await one(store, { type: 'beat', session: 'a', client: 'a', lease: 1_000 }), 'ended')
    equal((await store.read('k'))?.sessions.a, undefined, 'row')
    await store.apply([{ type: 'withdraw', key: 'k', session: 'b', number: 9 }])
    equal(held(await store.read('k')), ['b'], 'holder')
  },

  'J9: a pin keeps a silent holder, also when it came first': async (store) => {
    await store.apply([{ type: 'pin', key: 'k', entity: 'backup' }])
    const token = await line(store, 'a')
    const expire: Command = { type: 'expire', key: 'k', evidence: { token, seq: 1 } }
    equal(outcome(await one(store, expire), 'refused').reason, 'pinned', 'reason')
    await store.apply([{ type: 'unpin', key: 'k', entity: 'backup' }])
    outcome(await one(store, expire), 'done')
  },

  'J10: a revoke takes what it names, nothing is fine, another’s is refused': async (store) => {
    outcome(await one(store, { type: 'revoke', key: 'k' }), 'done')
    await line(store, 'a')
    equal(outcome(await one(store, { type: 'revoke', key: 'k', session: 'b' }), 'refused').reason, 'not-owner', 'reason')
    outcome(await one(store, { type: 'revoke', key: 'k', session: 'a' }), 'done')
    equal(held(await store.read('k')), [], 'holders')
  },

  'F5: metadata comes back as it went in': async (store) => {
    await store.apply([beat('a')])
    const metadata = { url: 'http://leader', list: [1, null, 'ü\u2028"'], nested: { yes: true } }
    await store.apply([request('a', 1, { metadata }), request('a', 2, { metadata: null })])
    const view = await store.read('k')
    equal([view?.holders[0]?.metadata, view?.queue[0]?.metadata], [metadata, null], 'metadata')
  },

  'a refused command spoils no other of its batch': async (store) => {
    await store.apply([beat('a')])
    const outcomes = await store.apply([release('a', 7), request('a'), request('stranger'), beat('b'), request('b', 1, { key: 'other' })])
    equal(
      outcomes.map(({ type }) => type),
      ['refused', 'granted', 'refused', 'beaten', 'granted'],
      'outcomes',
    )
  },

  'J12: a corrupt record is reported by its key and left as it is, and spoils no other': async (store, { place }) => {
    if (!place.corrupt) return
    await line(store, 'a')
    await place.corrupt('k')
    const before = await place.raw?.('k')
    const outcomes = await store.apply([request('a', 2), request('a', 1, { key: 'other' })])
    const failed = outcome(outcomes[0], 'failed')
    equal(failed.code, 'corrupt', 'code')
    truthy(failed.message.includes('"k"'), `the key in "${failed.message}"`)
    outcome(outcomes[1], 'granted')
    const error = await rejects(store.read('k'), 'corrupt')
    truthy(error.message.includes('"k"'), `the key in "${error.message}"`)
    equal(await place.raw?.('k'), before, 'what stands there')
  },

  'odd keys are kept apart': async (store) => {
    await store.apply([beat('a')])
    const keys = [
      '',
      ' ',
      'K',
      'k',
      'k ',
      'ü',
      'u\u0308',
      '日本語',
      '👩‍🚀',
      "'; DROP TABLE x; --",
      '%',
      '_',
      '@a/b',
      '/a/b',
      '/a%2Fb',
      'x'.repeat(1_024),
      '\uffff',
    ]
    const outcomes = await store.apply(keys.map((key) => request('a', 1, { key })))
    for (const [index, each] of outcomes.entries()) equal([keys[index], each.type], [keys[index], 'granted'], 'outcome')
    for (const key of keys) equal([key, (await store.read(key))?.key], [key, key], 'key')
    equal((await store.list()).length, keys.length, 'records')
  },

  'a list is in the order of its keys, and of one prefix if asked': async (store) => {
    await store.apply([beat('a')])
    const keys = ['b/2', 'a', 'b/1', 'b', 'B/1', 'b/', 'c', 'b%', 'b_']
    await store.apply(keys.map((key) => request('a', 1, { key })))
    const listed = async (prefix?: string) => (await store.list(prefix)).map(({ key }) => key)
    equal(await listed(), [...keys].sort(), 'all keys')
    equal(await listed('b/'), ['b/', 'b/1', 'b/2'], 'keys of a prefix')
    equal(await listed('b%'), ['b%'], 'keys of a prefix with a wildcard')
    equal(await listed('nothing'), [], 'keys of no prefix')
  },

  'commands sent together are carried out one by one': async (store) => {
    const sessions = Array.from({ length: 20 }, (_, index) => `s${index}`)
    await store.apply(sessions.map(beat))
    const outcomes = (await Promise.all(sessions.map((session) => store.apply([request(session)])))).flat()
    equal(outcomes.filter(({ type }) => type === 'granted').length, 1, 'grants')
    equal((await store.read('k'))?.queue.length, 19, 'waiters')
  },

  'commands keep their order': async (store) => {
    await store.apply([beat('a')])
    const numbers = Array.from({ length: 50 }, (_, index) => index + 1)
    await Promise.all(numbers.map((number) => store.apply([request('a', number)])))
    equal(queued(await store.read('k')), ['a 2-50'], 'queue')
  },

  'what one store wrote, another on the same place sees': async (store, { place, open }) => {
    if (place.alone) return
    const other = await open()
    const token = await line(store, 'a', 'b')
    equal(held(await other.read('k')), ['a'], 'holders')
    const [granted] = outcome(await one(other, release('a', token)), 'done').grants
    equal(granted?.session, 'b', 'granted')
    equal((await store.read('k'))?.holders[0]?.token, granted?.token, 'token')
  },

  'two stores on one place grant a lock once': async (store, { place, open }) => {
    if (place.alone) return
    const other = await open()
    await store.apply([beat('a'), beat('b')])
    for (let number = 1; number <= 20; number++) {
      const both = await Promise.all([
        one(store, request('a', number, { ifAvailable: true })),
        one(other, request('b', number, { ifAvailable: true })),
      ])
      const grants = both.flatMap((each) => (each.type === 'granted' ? [each.holder] : []))
      equal(grants.length, 1, 'grants')
      for (const { session, token } of grants) await store.apply([release(session, token)])
    }
  },

  'a closed store says so, and may be closed again': async (store) => {
    await line(store, 'a')
    await store.close()
    await rejects(store.apply([request('a', 2)]), 'closed')
    await rejects(store.read('k'), 'closed')
    await rejects(store.list(), 'closed')
    await store.close()
  },

  'nothing that comes out is shared with the store': async (store) => {
    await line(store, 'a', 'b')
    const view = await store.read('k')
    structuredClone(view)
    ;(view?.holders as unknown[]).length = 0
    equal(held(await store.read('k')), ['a'], 'holders')
  },

  'hints reach who listens, in order, and a listener that throws harms nobody': async ({ channel }) => {
    if (!channel) return
    const heard: unknown[] = []
    const all = new Promise<void>((resolve) => {
      channel.subscribe('topic', () => {
        throw new Error('a listener of a test that throws')
      })
      channel.subscribe('topic', ({ n }) => heard.push(n) === 3 && resolve())
    })
    const stop = channel.subscribe('other', () => heard.push('another topic'))
    for (const n of [1, 2, 3]) channel.publish('topic', { n })
    await all
    stop()
    equal(heard, [1, 2, 3], 'heard')
  },

  'a beacon proves a death, and proves none while it is up': async ({ beacon }) => {
    if (!beacon) return
    const raised = await beacon.raise('a')
    const stop = new AbortController()
    const watch = beacon.watch(raised.address, stop.signal)
    const first = await Promise.race([watch.then(() => 'proof'), new Promise((resolve) => setTimeout(resolve, 20, 'nothing'))])
    equal(first, 'nothing', 'seen while it is up')
    raised.lower()
    await watch
  },
}
