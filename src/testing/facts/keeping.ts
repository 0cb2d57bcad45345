import type { Command } from '../../protocol/index.ts'
import { equal, outcome, rejects, truthy } from '../expect.ts'
import { beat, type Fact, held, line, queued, release, request } from './play.ts'

/** How a store keeps records: separately, in order, and for every store on the same place. */
export const keeping: Record<string, Fact> = {
  'a key that was never used has no record': async (store) => {
    equal(await store.read('k'), undefined, 'read')
    equal(await store.list(), [], 'list')
  },

  'an empty batch has no outcomes': async (store) => equal(await store.apply([]), [], 'outcomes'),

  'a refused command does not affect the others of its batch': async (store) => {
    await store.apply([beat('a')])
    const outcomes = await store.apply([release('a', 7), request('a'), request('stranger'), beat('b'), request('b', 1, { key: 'other' })])
    equal(
      outcomes.map(({ type }) => type),
      ['refused', 'granted', 'refused', 'beaten', 'granted'],
      'outcomes',
    )
  },

  'J12: a corrupt record is reported with its key and not changed, and does not affect others': async (store, { place }) => {
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
    const inList = await rejects(store.list(), 'corrupt')
    truthy(inList.message.includes('"k"'), `the key in "${inList.message}"`)
    equal((await store.list('other')).length, 1, 'records beside it')
    equal(await place.raw?.('k'), before, 'what stands there')
  },

  'unusual keys are not mixed up': async (store) => {
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
      '@@/%d800',
      'x'.repeat(1_024),
      `${'x'.repeat(1_023)}y`,
      '\uffff',
    ]
    const outcomes = await store.apply(keys.map((key) => request('a', 1, { key })))
    for (const [index, each] of outcomes.entries()) equal([keys[index], each.type], [keys[index], 'granted'], 'outcome')
    for (const key of keys) equal([key, (await store.read(key))?.key], [key, key], 'key')
    equal((await store.list()).length, keys.length, 'records')
  },

  'a list is sorted by key, and limited to a prefix if one is given': async (store) => {
    await store.apply([beat('a')])
    // The last two: their order differs between code points and UTF-16 code units.
    const keys = ['b/2', 'a', 'b/1', 'b', 'B/1', 'b/', 'c', 'b%', 'b_', 'b/\u{10ffff}', '\uffff', '\u{1f600}']
    await store.apply(keys.map((key) => request('a', 1, { key })))
    const listed = async (prefix?: string) => (await store.list(prefix)).map(({ key }) => key)
    equal(await listed(), [...keys].sort(), 'all keys')
    equal(await listed('b/'), ['b/', 'b/1', 'b/2', 'b/\u{10ffff}'], 'keys of a prefix')
    equal(await listed('b%'), ['b%'], 'keys of a prefix with a wildcard')
    equal(await listed('nothing'), [], 'keys of no prefix')
  },

  'pages of a list continue after the last key of the page before': async (store) => {
    if (!store.page) return
    await store.apply([beat('a')])
    const keys = ['', 'a', 'b', 'b/', 'b/1', 'b/2', 'b/3', 'c', '\uffff', '\u{1f600}']
    await store.apply(keys.map((key) => request('a', 1, { key })))
    for (const prefix of ['', 'b/', 'nothing']) {
      const found: string[] = []
      for (let page = ['']; page.length; found.push(...page)) {
        page = (await store.page(prefix, found.at(-1), 3)).map(({ key }) => key)
        truthy(page.length <= 3, `a page of ${page.length}`)
      }
      equal(found.sort(), keys.filter((key) => key.startsWith(prefix)).sort(), `keys that start with "${prefix}"`)
    }
  },

  'a list of busy records has all locks that are held, waited for or pinned': async (store) => {
    const keys = ['held', 'held again', 'idle', 'pinned', 'shared', 'swept', 'unpinned', 'waited']
    await store.apply([beat('a'), beat('b'), ...keys.map((key) => request('a', 1, { key, mode: key === 'shared' ? 'shared' : 'exclusive' }))])
    const withdraw = (session: string, key: string, number = 1): Command => ({ type: 'withdraw', key, session, number })
    const pin = (type: 'pin' | 'unpin', key: string): Command => ({ type, key, entity: 'x' })
    await store.apply([
      ...keys.filter((key) => key !== 'held').map((key) => withdraw('a', key)),
      ...[pin('pin', 'pinned'), pin('pin', 'unpinned'), { type: 'sweep', key: 'swept' } as const],
      ...['held again', 'waited', 'shared'].flatMap((key) => [request('a', 2, { key }), request('b', 1, { key })]),
    ])
    await store.apply([pin('unpin', 'unpinned'), withdraw('a', 'waited', 2)])
    const busy = async (prefix?: string) => (await store.list(prefix, { busy: true })).map(({ key }) => key)
    const expected = ['held', 'held again', 'pinned', 'shared', 'waited']
    // A store may leave the other records out, but need not.
    const found = new Set(await busy())
    for (const key of expected) truthy(found.has(key), `"${key}" among ${[...found].join()}`)
    truthy((await busy('held')).includes('held again'), 'those of a prefix')
  },

  'a batch may be large': async (store) => {
    const keys = Array.from({ length: 1_000 }, (_, index) => `k${index}`)
    const outcomes = await store.apply([beat('a'), ...keys.map((key) => request('a', 1, { key }))])
    equal(outcomes.filter(({ type }) => type === 'granted').length, 1_000, 'grants')
    equal((await store.list('k')).length, 1_000, 'records')
  },

  'commands sent together are carried out one by one': async (store) => {
    const sessions = Array.from({ length: 20 }, (_, index) => `s${index}`)
    await store.apply(sessions.map(beat))
    const outcomes = (await Promise.all(sessions.map((session) => store.apply([request(session)])))).flat()
    equal(outcomes.filter(({ type }) => type === 'granted').length, 1, 'grants')
    equal((await store.read('k'))?.queue.length, 19, 'waiters')
  },

  'a waiter’s look returns the rows it needs, however many wait': async (store) => {
    await line(store, 'a', 'b', 'c', 'd', 'e')
    const view = await store.read('k', 'e')
    equal(queued(view), ['b 1-1', 'c 1-1', 'd 1-1', 'e 1-1'], 'queue')
    // A store may return more.
    equal(
      ['a', 'b', 'd', 'e'].filter((session) => !view?.sessions.get(session)),
      [],
      'missing rows',
    )
  },

  '`rows` returns the existing rows of the sessions asked for': async (store) => {
    await line(store, 'a', 'b')
    const rows = await store.rows?.(['a', 'gone', 'b'], 'k')
    if (rows)
      equal(
        [...rows].map(([id, row]) => [id, row.id, row.seq]),
        [
          ['a', 'a', 1],
          ['b', 'b', 1],
        ],
        'rows',
      )
  },

  'commands keep their order': async (store) => {
    await store.apply([beat('a')])
    const numbers = Array.from({ length: 50 }, (_, index) => index + 1)
    await Promise.all(numbers.map((number) => store.apply([request('a', number)])))
    equal(queued(await store.read('k')), ['a 2-50'], 'queue')
  },

  'a closed store rejects with `closed`, and may be closed again': async (store) => {
    await line(store, 'a')
    await store.close()
    await rejects(store.apply([request('a', 2)]), 'closed')
    await rejects(store.read('k'), 'closed')
    await rejects(store.list(), 'closed')
    await store.close()
  },

  'results are not shared with the store': async (store) => {
    await line(store, 'a', 'b')
    const view = await store.read('k')
    structuredClone(view)
    ;(view?.holders as unknown[]).length = 0
    equal(held(await store.read('k')), ['a'], 'holders')
  },

  'hints reach subscribers in order, and a listener that throws affects no other': async ({ channel }) => {
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

  'a beacon proves a death when it goes out, and proves nothing while it is up': async ({ beacon }) => {
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
