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

/** The stored record with one field changed. The path gives the index in each nested array. */
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
  test('a record is decoded completely', () => {
    expect(decodeRecord('k', encodeRecord(record))).toEqual(record)
  })

  test('a record without evictions, or without past release requests, is decoded completely', () => {
    for (const field of ['evictions', 'asked'])
      expect(decodeRecord('k', encodeRecord({ ...record, [field]: undefined }))).toEqual({ ...record, [field]: undefined })
  })

  test('records from before past release requests were kept can be read', () => {
    const text = JSON.stringify(JSON.parse(encodeRecord(record)).slice(0, 8))
    expect(decodeRecord('k', text)).toEqual({ ...record, asked: undefined })
  })

  test('a session row is decoded completely', () => {
    expect(decodeSession('s', encodeSession(row))).toEqual(row)
  })

  test('it begins with its version', () => {
    expect(JSON.parse(encodeRecord(record))[0]).toBe(schemaVersion)
    expect(JSON.parse(encodeSession(row))[0]).toBe(schemaVersion)
  })

  test.each([700, undefined])('metadata null differs from no metadata, in a hold since %s', (since) => {
    const [holder] = record.holders
    const holders = [null, undefined, 5].map((metadata) => ({ ...(holder as typeof holder & object), metadata, since }))
    expect(decodeRecord('k', encodeRecord({ ...record, holders })).holders).toEqual(holders)
  })

  test.each([
    ['', undefined],
    [',null,null,null,null,{"url":"here"}', { url: 'here' }],
    [',null,null,null,null,null', null],
  ])('records of version 0.1, with tokens in milliseconds and without grant times, can be read: %s', (rest, metadata) => {
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

  test('it is decoded completely, also with only waiters', () => {
    for (const each of [shown, { ...shown, holders: [], asked: undefined }]) expect(decodeRecord('k', encodeRecord(each))).toEqual(each)
  })

  test('it has a version that older storelocks refuse, and without a limit the version that they read', () => {
    expect(JSON.parse(encodeRecord(shown))[0]).toBe(schemaVersion + 1)
    expect(JSON.parse(encodeRecord({ ...shown, holders: [], queue: [], asked: undefined }))[0]).toBe(schemaVersion)
  })

  test('without a limit it is the same text as before limits existed', () => {
    const claim = { session: 's', client: 'c', mode: 'exclusive', limit: undefined } as const
    const holder = { ...claim, number: 3, token: 9, previous: 8, since: 900, expiresAt: 1_000 }
    const run = { ...claim, mode: 'shared', from: 4, to: 5, confirm: 3_000, lapses: 0 } as const
    expect(encodeRecord({ key: 'k', token: 9, holders: [holder], queue: [run], pins: [], changedAt: 900 })).toBe(
      '[1,9,[["s","c",0,3,9,null,8,1000]],[["s","c",1,4,5,3000,0]],[],900]',
    )
  })

  test.each([
    ['a holder without the limit of the others', [2, 0, 2], 0],
    ['a shared holder', [2, 0, 2], 1],
    ['a limit that is not a number', [3, 0, 2], '3'],
    ['a limit that is out of range', [3, 0, 2], 1_001],
    ['a record marked with the older version', [0], 1],
  ])('J12: %s is corrupt', (_, path, value) => {
    const fields = JSON.parse(encodeRecord(shown))
    const list = path.slice(0, -1).reduce((inner, index) => inner[index], fields)
    list[path.at(-1) as number] = value
    expect(codeOf(() => decodeRecord('k', JSON.stringify(fields)))).toBe('corrupt')
  })
})

describe('unreadable records', () => {
  test.each([
    ['undefined', undefined],
    ['a blob', new Uint8Array(3)],
    ['an empty text', ''],
    ['half a record', encodeRecord(record).slice(0, -3)],
    ['JSON of something else', '{"token":1}'],
    ['a version that is not a number', changed([0], '1')],
    ['a version that never existed', changed([0], 0)],
    ['a token that is a text', changed([1], '9')],
    ['a token that is not a whole number', changed([1], 9.5)],
    ['a token that JSON cannot hold', encodeRecord(record).replace('[1,9,', '[1,1e999,')],
    ['a token below that of its holder', changed([1], 8)],
    ['holders that are not a list', changed([2], {})],
    ['a holder that is not a list', changed([2, 0], 'me')],
    ['a holder without a session', changed([2, 0, 0], null)],
    ['an invalid mode', changed([2, 0, 2], 2)],
    ['a seq that is not a number', changed([2, 0, 8], 'x')],
    ['a run whose first number is not a whole number', changed([3, 0, 3], 0.5)],
    ['a run that ends before it begins', changed([3, 0, 4], 0)],
    ['a pin that is not a text', changed([4, 0], 5)],
    ['an invalid time of grant', changed([6, 0], 'x')],
    ['an invalid time of change', changed([5], 'x')],
    ['release requests that are not a list', changed([8], {})],
    ['a release request that is not a list', changed([8, 0], 'please')],
    ['a release request whose lock request is not a list', changed([8, 0, 2], 'please')],
    ['a release request without a session', changed([8, 0, 2, 0], null)],
    ['a release request without a token', changed([8, 0, 0], null)],
  ])('J12: %s is corrupt', (_, text) => {
    expect(codeOf(() => decodeRecord('k', text))).toBe('corrupt')
  })

  test('J12: the error names the key', () => {
    expect(() => decodeRecord('my/key', 'x')).toThrow('"my/key"')
    expect(() => decodeSession('my session', 'x')).toThrow('my session')
  })

  test('a record of a newer version is reported as newer, not as corrupt', () => {
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
