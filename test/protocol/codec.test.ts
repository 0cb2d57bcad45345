import { describe, expect, test } from 'vitest'
import {
  decodeRecord,
  decodeSession,
  encodeRecord,
  encodeSession,
  type LockRecord,
  type SessionRow,
  schemaVersion,
} from '../../src/protocol/index.ts'

const record: LockRecord = {
  key: 'k',
  token: 9,
  holders: [
    {
      ...{ session: 's', client: 'c', mode: 'exclusive', number: 3, token: 9, previous: 8, since: 700, expiresAt: 1_000 },
      ...{ lease: 13_333.333, seq: -1, unconfirmed: { confirm: 3_000, lapses: 1 }, metadata: { url: 'here' }, reserve: undefined },
    },
  ],
  queue: [{ session: 't', client: 'd', mode: 'shared', from: 1, to: 1_000, confirm: 3_000, lapses: 0, lease: undefined, metadata: null, reserve: 5 }],
  pins: ['p'],
  changedAt: 900,
  evictions: [{ from: 6, to: 8, how: 'stolen' }],
  asked: [
    {
      ...{ session: 't', client: 'd', mode: 'exclusive', from: 7, to: 7, confirm: 3_000, lapses: 0, lease: undefined, reserve: undefined },
      ...{ token: 9, ask: null, label: undefined, metadata: undefined },
    },
    {
      ...{ session: 'u', client: 'd', mode: 'shared', from: 8, to: 8, confirm: 3_000, lapses: 0, lease: 5, reserve: undefined },
      ...{ token: 9, ask: { please: 1 }, label: 'tab 4', metadata: null },
    },
  ],
}

const row: SessionRow = {
  id: 's',
  client: 'c',
  seq: 4,
  lease: 12_000,
  expiresAt: 1_000,
  evictions: 2,
  asks: 3,
  label: 'tab 3',
  beacon: undefined,
  challenged: 4,
  news: ['k', '__proto__'],
}

/** The stored record with one field changed: the path leads through its arrays. */
function changed(path: readonly number[], value: unknown): string {
  const fields = JSON.parse(encodeRecord(record))
  const list = path.slice(0, -1).reduce((inner, index) => inner[index], fields)
  list[path.at(-1) as number] = value
  return JSON.stringify(fields)
}

const codeOf = (decode: () => unknown): unknown => {
  try {
    return decode()
  } catch (error) {
    return (error as { code?: unknown }).code
  }
}

describe('the stored form', () => {
  test('a record comes back whole', () => {
    expect(decodeRecord('k', encodeRecord(record))).toEqual(record)
  })

  test('a record without evictions, or without asks that are over, comes back whole', () => {
    for (const field of ['evictions', 'asked'])
      expect(decodeRecord('k', encodeRecord({ ...record, [field]: undefined }))).toEqual({ ...record, [field]: undefined })
  })

  test('records from before such asks were kept can be read', () => {
    const text = JSON.stringify(JSON.parse(encodeRecord(record)).slice(0, 8))
    expect(decodeRecord('k', text)).toEqual({ ...record, asked: undefined })
  })

  test('a session row comes back whole', () => {
    expect(decodeSession('s', encodeSession(row))).toEqual(row)
  })

  test('it says its version first', () => {
    expect(JSON.parse(encodeRecord(record))[0]).toBe(schemaVersion)
    expect(JSON.parse(encodeSession(row))[0]).toBe(schemaVersion)
  })

  test.each([700, undefined])('metadata null differs from none, in a hold since %s', (since) => {
    const [holder] = record.holders
    const holders = [null, undefined, 5].map((metadata) => ({ ...(holder as typeof holder & object), metadata, since }))
    expect(decodeRecord('k', encodeRecord({ ...record, holders })).holders).toEqual(holders)
  })

  test.each([
    ['', undefined],
    [',null,null,null,null,{"url":"here"}', { url: 'here' }],
    [',null,null,null,null,null', null],
  ])('records of 0.1, with tokens in milliseconds and no times of grants, can be read: %s', (rest, metadata) => {
    const text = `[1,1764300000000,[["s","c",0,3,1764300000000,null,8,1764300010000${rest}]],[],["p"]]`
    const { token, holders, changedAt } = decodeRecord('k', text)
    expect([token, changedAt]).toEqual([1_764_300_000_000, undefined])
    expect(holders).toEqual([
      {
        ...{ session: 's', client: 'c', mode: 'exclusive', number: 3, token: 1_764_300_000_000, previous: 8, expiresAt: 1_764_300_010_000 },
        ...{ since: undefined, metadata, reserve: undefined, lease: undefined, seq: undefined, unconfirmed: undefined },
      },
    ])
  })

  test('a thousand waiters of one run are stored in a hundred bytes', () => {
    expect(encodeRecord({ ...record, holders: [], asked: undefined }).length).toBeLessThan(100)
  })
})

describe('the stored form of a record with a limit', () => {
  const { holders, queue, asked, ...rest } = record
  const limited = <T>(claim: T): T => ({ ...claim, mode: 'exclusive', limit: 3 })
  const shown: LockRecord = { ...rest, holders: holders.map(limited), queue: queue.map(limited), asked: asked?.map(limited) }

  test('it comes back whole, also with waiters alone', () => {
    for (const each of [shown, { ...shown, holders: [], asked: undefined }]) expect(decodeRecord('k', encodeRecord(each))).toEqual(each)
  })

  test('it is of a version that older ones do not touch; without a limit it is of theirs', () => {
    expect(JSON.parse(encodeRecord(shown))[0]).toBe(schemaVersion + 1)
    expect(JSON.parse(encodeRecord({ ...shown, holders: [], queue: [], asked: undefined }))[0]).toBe(schemaVersion)
  })

  test('without a limit it is the same text as ever', () => {
    const claim = { session: 's', client: 'c', mode: 'exclusive', limit: undefined } as const
    const holder = { ...claim, number: 3, token: 9, previous: 8, since: 900, expiresAt: 1_000 }
    const run = { ...claim, mode: 'shared', from: 4, to: 5, confirm: 3_000, lapses: 0 } as const
    expect(encodeRecord({ key: 'k', token: 9, holders: [holder], queue: [run], pins: [], changedAt: 900 })).toBe(
      '[1,9,[["s","c",0,3,9,null,8,1000]],[["s","c",1,4,5,3000,0]],[],900]',
    )
  })

  test.each([
    ['one who has none, among those who have', [2, 0, 2], 0],
    ['a shared one', [2, 0, 2], 1],
    ['a limit that is no number', [3, 0, 2], '3'],
    ['a limit that nobody may ask for', [3, 0, 2], 1_001],
    ['one of the older version', [0], 1],
  ])('J12: %s is corrupt', (_, path, value) => {
    const fields = JSON.parse(encodeRecord(shown))
    const list = path.slice(0, -1).reduce((inner, index) => inner[index], fields)
    list[path.at(-1) as number] = value
    expect(codeOf(() => decodeRecord('k', JSON.stringify(fields)))).toBe('corrupt')
  })
})

describe('unreadable records', () => {
  test.each([
    ['no text', undefined],
    ['a blob', new Uint8Array(3)],
    ['an empty text', ''],
    ['half a record', encodeRecord(record).slice(0, -3)],
    ['JSON of something else', '{"token":1}'],
    ['a version that is no number', changed([0], '1')],
    ['a version that never was', changed([0], 0)],
    ['a token that is a text', changed([1], '9')],
    ['a token that is no whole number', changed([1], 9.5)],
    ['a token that JSON cannot hold', encodeRecord(record).replace('[1,9,', '[1,1e999,')],
    ['a token below that of its holder', changed([1], 8)],
    ['holders that are no list', changed([2], {})],
    ['a holder that is no list', changed([2, 0], 'me')],
    ['a holder without a session', changed([2, 0, 0], null)],
    ['a mode that is none', changed([2, 0, 2], 2)],
    ['a seq that is no number', changed([2, 0, 8], 'x')],
    ['a run whose first number is no whole one', changed([3, 0, 3], 0.5)],
    ['a run that ends before it begins', changed([3, 0, 4], 0)],
    ['a pin that is no text', changed([4, 0], 5)],
    ['a time of grant that is none', changed([6, 0], 'x')],
    ['a time of change that is none', changed([5], 'x')],
    ['asks that are no list', changed([8], {})],
    ['an ask that is no list', changed([8, 0], 'please')],
    ['an ask whose request is no list', changed([8, 0, 2], 'please')],
    ['an ask without a session', changed([8, 0, 2, 0], null)],
    ['an ask without a token', changed([8, 0, 0], null)],
  ])('J12: %s is corrupt', (_, text) => {
    expect(codeOf(() => decodeRecord('k', text))).toBe('corrupt')
  })

  test('J12: the error names the key', () => {
    expect(() => decodeRecord('my/key', 'x')).toThrow('"my/key"')
    expect(() => decodeSession('my session', 'x')).toThrow('my session')
  })

  test('a record of a newer version is named as such, and not called corrupt', () => {
    const text = JSON.stringify([schemaVersion + 2, { quite: 'different' }])
    expect(codeOf(() => decodeRecord('k', text))).toBe('store')
    expect(() => decodeRecord('k', text)).toThrow(/"k".*newer storelock/)
    expect(codeOf(() => decodeSession('s', text))).toBe('store')
  })

  test.each([
    ['seq', 2],
    ['evictions', 5],
    ['beacon', 7],
    ['asks', 9],
  ])('J12: a session row with a broken %s is corrupt', (_, place) => {
    const fields = JSON.parse(encodeSession(row))
    fields[place] = false
    expect(codeOf(() => decodeSession('s', JSON.stringify(fields)))).toBe('corrupt')
  })
})
