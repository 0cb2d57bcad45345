import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type Command,
  decodeRecord,
  decodeSession,
  encodeRecord,
  encodeSession,
  type Holder,
  type Json,
  type LockRecord,
  lastTokenOf,
  leaseOf,
  type Mode,
  plainView,
  type SessionRow,
  viewOfPlain,
} from '../../src/protocol/index.ts'
import { history, type KeyStep, onKey, play, type Step } from './histories.ts'
import { lease, Shelf } from './shelf.ts'

const runs = { numRuns: 150 }

/** Checks a fact after every command of random histories. */
const always = (fact: (step: Step) => void): void =>
  fc.assert(
    fc.property(history, (actions) => play(actions, fact)),
    runs,
  )

/** Checks a fact after every command on a record. */
const alwaysOnKeys = (fact: (step: KeyStep) => void): void =>
  always((step) => {
    const keyStep = onKey(step)
    if (keyStep) fact(keyStep)
  })

/** The holds that a step granted, in the order of their tokens. */
const granted = ({ outcome }: KeyStep): Holder[] => [...(outcome.type === 'granted' && !outcome.repeated ? [outcome.holder] : []), ...outcome.grants]

const sameHold = (one: Holder, other: Holder): boolean => one.token === other.token && one.session === other.session

const waiting = (record: LockRecord, rows: Readonly<Record<string, SessionRow>>): string[] =>
  record.queue
    .filter(({ session }) => rows[session])
    .flatMap(({ session, from, to }) => Array.from({ length: to - from + 1 }, (_, index) => `${session} ${from + index}`))

describe('in every history', () => {
  test('there is enough contention to test the properties below', () => {
    const met: Record<string, number> = {}
    const count = (what: string, times: number | boolean): void => {
      met[what] = (met[what] ?? 0) + Number(times)
    }
    let last = 0
    alwaysOnKeys((step) => {
      const { command, outcome, before, after, rowsBefore, now } = step
      count('grants', granted(step).length)
      count('grants by others', outcome.grants.filter(({ unconfirmed }) => unconfirmed).length)
      count('evictions', outcome.evicted.length)
      count('lapses', command.type === 'expire' && outcome.evicted.some(({ unconfirmed }) => unconfirmed))
      count('refusals', outcome.type === 'refused')
      count('kept by a pin', outcome.type === 'refused' && outcome.reason === 'pinned')
      count('sweeps', command.type === 'sweep' && outcome.type === 'done')
      count('holders that have ended', !before.holders.every(({ session }) => rowsBefore[session]))
      count('shared groups', after.holders.length > 1 && after.holders[0]?.mode === 'shared')
      count('three of three', after.holders.length === 3 && after.holders[0]?.limit === 3)
      count('other limits', outcome.type === 'refused' && outcome.reason === 'limit')
      count('queues of three', after.queue.length > 2)
      count('steps back', now < last)
      last = now
    })
    // About a third of the usual counts, so that chance does not fail the test.
    const least = {
      ...{ grants: 600, 'grants by others': 150, evictions: 200, lapses: 20, refusals: 500, 'kept by a pin': 30, sweeps: 25 },
      ...{ 'holders that have ended': 15, 'shared groups': 130, 'three of three': 50, 'other limits': 50, 'queues of three': 200, 'steps back': 200 },
    }
    for (const [what, times] of Object.entries(least)) expect(met[what], what).toBeGreaterThan(times)
  })

  test('there is at most one exclusive holder, or as many as its limit, and never beside holders of another mode or limit', () => {
    alwaysOnKeys(({ after: { holders } }) => {
      const [first] = holders
      if (holders.some(({ mode }) => mode === 'exclusive')) expect(holders.length).toBeLessThanOrEqual(first?.limit ?? 1)
      for (const { mode, limit } of holders) expect([mode, limit]).toEqual([first?.mode, first?.limit])
    })
  })

  test('all holders and waiters have the limit that they asked for, and it is the same for all', () => {
    fc.assert(
      fc.property(history, (actions) => {
        const asked = new Map<string, number | undefined>()
        play(actions, (step) => {
          const keyStep = onKey(step)
          if (!keyStep) return
          const { command, before, after, outcome } = keyStep
          const limits = ({ holders, queue }: LockRecord): (number | undefined)[] => [...holders, ...queue].map(({ limit }) => limit)
          if (command.type === 'request') {
            asked.set(`${command.session} ${command.number}`, command.limit)
            const isOther = limits(before).some((limit) => limit !== command.limit)
            if (outcome.type === 'refused' && outcome.reason === 'limit') expect(isOther || command.steal).toBe(true)
          }
          expect(new Set(limits(after)).size).toBeLessThanOrEqual(1)
          for (const { session, number, limit } of after.holders) expect(limit).toBe(asked.get(`${session} ${number}`))
          for (const { session, to, limit } of after.queue) expect(limit).toBe(asked.get(`${session} ${to}`))
        })
      }),
      runs,
    )
  })

  test('tokens of a key rise with every grant, over sweeps and when wall time steps back', () => {
    fc.assert(
      fc.property(history, (actions) => {
        const last = new Map<string, number>()
        play(actions, (step) => {
          const keyStep = onKey(step)
          if (!keyStep) return
          const { key } = keyStep.command
          for (const holder of granted(keyStep)) {
            expect(holder.token).toBeGreaterThan(last.get(key) ?? 0)
            last.set(key, lastTokenOf(holder))
          }
          expect(keyStep.after.token).toBeGreaterThanOrEqual(last.get(key) ?? 0)
        })
      }),
      runs,
    )
  })

  test('requests are granted in the order of the queue, and no request is lost, doubled or moved ahead', () => {
    fc.assert(
      fc.property(history, (actions) => {
        const lines = new Map<string, string[]>()
        play(actions, (step) => {
          const keyStep = onKey(step)
          if (!keyStep) return
          const { command, outcome, after, rowsAfter: rows } = keyStep
          const line = lines.get(command.key) ?? []
          const alive = (): string[] => line.filter((request) => rows[request.split(' ')[0] ?? ''])
          const leave = (request: string): unknown => line.includes(request) && line.splice(line.indexOf(request), 1)
          lines.set(command.key, line)

          if (command.type === 'request') {
            const request = `${command.session} ${command.number}`
            if (outcome.type === 'queued' && !line.includes(request)) line.push(request)
            if (outcome.type === 'granted' && !outcome.repeated && !command.steal) expect(alive()).toEqual([])
          } else if (command.type === 'withdraw' && outcome.type === 'done') {
            leave(`${command.session} ${command.number}`)
          } else if (command.type === 'expire' && outcome.type === 'done') {
            const { evidence } = command
            if ('number' in evidence) {
              const run = keyStep.before.queue.find((entry) => entry.session === evidence.session && entry.from === evidence.number)
              for (let number = run?.from ?? 0; number <= (run?.to ?? -1); number++) leave(`${evidence.session} ${number}`)
            }
            for (const { session, number, unconfirmed } of outcome.evicted)
              if (unconfirmed && unconfirmed.lapses < 2) line.push(`${session} ${number}`)
          }
          for (const { session, number } of outcome.grants) {
            expect(alive()[0]).toBe(`${session} ${number}`)
            leave(`${session} ${number}`)
          }
          expect(waiting(after, rows)).toEqual(alive())
        })
      }),
      runs,
    )
  })

  test('no command leaves the lock free while the head of the queue could be granted it', () => {
    alwaysOnKeys(({ after, rowsAfter }) => {
      const head = after.queue.find(({ session }) => rowsAfter[session])
      const fits = ({ mode, limit }: Pick<Holder, 'mode' | 'limit'>): boolean =>
        after.holders.length < (limit ?? 0) || after.holders.every((holder) => mode === 'shared' && holder.mode === 'shared')
      if (head) expect(fits(head)).toBe(false)
    })
  })

  test('a live hold ends only by its owner, by valid evidence, by stealing or by revoking', () => {
    alwaysOnKeys(({ command, outcome, before, after, rowsBefore }) => {
      for (const holder of before.holders) {
        if (!rowsBefore[holder.session] || after.holders.some((other) => sameHold(other, holder))) continue
        const evidence = command.type === 'expire' && 'token' in command.evidence ? command.evidence : undefined
        const ended =
          (command.type === 'release' && command.session === holder.session && command.token === holder.token) ||
          (command.type === 'withdraw' && command.session === holder.session && command.number === holder.number) ||
          (evidence?.token === holder.token && evidence.seq === (holder.seq ?? rowsBefore[holder.session]?.seq) && before.pins.length === 0) ||
          (command.type === 'request' && command.steal) ||
          (command.type === 'revoke' && (command.session === undefined || command.session === holder.session))
        expect(ended, `${command.type} ended the hold of ${holder.session}: ${JSON.stringify(outcome)}`).toBe(true)
      }
    })
  })

  test("non-owners' renewals, releases and withdrawals change nothing", () => {
    alwaysOnKeys(({ command, outcome, before, after, rowsBefore, rowsAfter }) => {
      if (command.type !== 'renew' && command.type !== 'release' && command.type !== 'withdraw') return
      const owner = before.holders.find((holder) =>
        command.type === 'withdraw' ? holder.number === command.number : holder.token === command.token,
      )?.session
      const asker = before.queue.find(({ from, to }) => command.type === 'withdraw' && from <= command.number && command.number <= to)?.session
      if ((owner ?? asker) === command.session) return
      expect(outcome.type).toBe('refused')
      expect(rowsAfter).toEqual(rowsBefore)
      // Any command removes the holds and requests of sessions that have ended.
      if ([...before.holders, ...before.queue].every(({ session }) => rowsBefore[session])) expect(after).toEqual(before)
    })
  })

  test('a refused command changes nothing if no session has ended', () => {
    alwaysOnKeys(({ outcome, before, after, rowsBefore }) => {
      if (outcome.type !== 'refused') return
      if ([...before.holders, ...before.queue].every(({ session }) => rowsBefore[session])) expect(after).toEqual(before)
    })
  })

  test('a renewal shortens no lease, and changes no holder, token or other hold', () => {
    alwaysOnKeys(({ command, outcome, before, after, rowsBefore, rowsAfter }) => {
      if (command.type !== 'renew' || outcome.type !== 'renewed') return
      const held = before.holders.find(({ token }) => token === command.token) as Holder
      const now = after.holders.find(({ token }) => token === command.token) as Holder
      expect(leaseOf(now, new Map(Object.entries(rowsAfter)))).toBeGreaterThanOrEqual(leaseOf(held, new Map(Object.entries(rowsBefore))))
      expect(now.expiresAt).toBeGreaterThanOrEqual(held.expiresAt)
      const { session, client, mode, number, previous, metadata } = held
      expect(now).toMatchObject({ session, client, mode, number, previous, metadata })
      const others = ({ holders }: LockRecord): Holder[] => holders.filter(({ token, session: id }) => token !== command.token && rowsBefore[id])
      expect(others(after).slice(0, others(before).length)).toEqual(others(before))
    })
  })

  test('a renewal gives the hold a seq that it never had before, so that older evidence is void', () => {
    fc.assert(
      fc.property(history, (actions) => {
        const seen = new Set<string>()
        play(actions, (step) => {
          const keyStep = onKey(step)
          if (keyStep?.outcome.type !== 'renewed') return
          const { token, seq, session } = keyStep.outcome.holder
          const evidence = `${keyStep.command.key} ${token} ${seq ?? keyStep.rowsAfter[session]?.seq}`
          const { holders } = keyStep.before
          const held = holders.find((holder) => holder.token === token) as Holder
          seen.add(`${keyStep.command.key} ${token} ${held.seq ?? keyStep.rowsBefore[session]?.seq}`)
          expect(seen).not.toContain(evidence)
          seen.add(evidence)
        })
      }),
      runs,
    )
  })

  test('evictions are counted in the row of the session that lost its hold, and nowhere else', () => {
    alwaysOnKeys(({ outcome, rowsBefore, rowsAfter }) => {
      for (const [id, row] of Object.entries(rowsAfter)) {
        const hits = outcome.evicted.filter(({ session }) => session === id).length
        expect(row.evictions - (rowsBefore[id]?.evictions ?? 0)).toBe(hits)
      }
    })
  })

  test("a grant is unconfirmed exactly if another session's command made it", () => {
    alwaysOnKeys((step) => {
      const { command } = step
      const own = 'session' in command && command.type !== 'revoke' ? command.session : undefined
      for (const { session, unconfirmed } of granted(step)) expect(unconfirmed === undefined).toBe(session === own)
    })
  })

  test('a request has at most one grant or one place, also when it is repeated', () => {
    alwaysOnKeys(({ command, after }) => {
      if (command.type !== 'request') return
      const { session, number } = command
      const holds = after.holders.filter((holder) => holder.session === session && holder.number === number)
      const places = after.queue.filter((run) => run.session === session && run.from <= number && number <= run.to)
      expect(holds.length + places.length).toBeLessThanOrEqual(1)
    })
  })

  test('an outcome shows the record after its command', () => {
    alwaysOnKeys(({ command, outcome, before, after, rowsAfter }) => {
      const { sessions, ...record } = outcome.record
      if (command.type !== 'sweep' || outcome.type !== 'done') expect(record).toEqual(after)
      else expect(record).toMatchObject({ token: before.token, holders: [], queue: [], pins: [] })
      expect(rowsAfter).toMatchObject(Object.fromEntries(sessions))
    })
  })

  test('a batch has the same result as its commands one by one', () => {
    fc.assert(
      fc.property(history, fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1 }), (actions, sizes) => {
        const commands: Command[] = []
        // Wall time stands still, so that the tokens that the commands name are granted again.
        play(
          actions.map((action) => ({ ...action, drift: 0 })),
          ({ command }) => commands.push(command),
        )
        const single = new Shelf()
        const batched = new Shelf()
        for (const session of ['a0', 'b0', 'c0', 'd0']) {
          for (const shelf of [single, batched]) shelf.run([{ type: 'beat', session, client: 'c', lease, opens: true }])
        }
        for (let turn = 0; commands.length; turn++) {
          const batch = commands.splice(0, sizes[turn % sizes.length])
          expect(batched.run(batch)).toEqual(batch.flatMap((command) => single.run([command])))
        }
        expect(batched).toEqual(single)
      }),
      runs,
    )
  })
})

describe('stored forms', () => {
  const text = fc.string({ unit: 'binary', maxLength: 8 })
  const whole = fc.maxSafeNat()
  /** Values without -0, which JSON does not have. */
  const json = fc.jsonValue().map((value): Json => JSON.parse(JSON.stringify(value)))
  const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined })
  const claim = {
    ...{
      session: text,
      client: text,
      mode: fc.constantFrom<Mode>('exclusive', 'shared'),
      lease: maybe(fc.double({ min: 1, max: 1e9, noNaN: true })),
    },
    metadata: maybe(json),
    reserve: maybe(fc.nat()),
  }
  const confirmation = { confirm: fc.nat(), lapses: fc.nat(2) }
  const holder = fc.record({
    ...claim,
    ...{ number: whole, token: fc.nat(), previous: whole, expiresAt: whole, seq: maybe(fc.integer({ max: -1 })) },
    unconfirmed: maybe(fc.record(confirmation)),
  })
  const run = fc.record({
    ...claim,
    ...confirmation,
    ask: maybe(json),
    from: fc.nat(),
    to: fc.integer({ min: 2 ** 31 - 1, max: Number.MAX_SAFE_INTEGER }),
  })
  const asked = fc.tuple(run, fc.record({ token: whole, label: maybe(text) })).map(([run, more]) => ({ ...run, ...more }))
  const record: fc.Arbitrary<LockRecord> = fc.record({
    ...{ key: text, token: fc.constant(Number.MAX_SAFE_INTEGER), holders: fc.array(holder), queue: fc.array(run), pins: fc.array(text) },
    ...{ changedAt: fc.nat(), asked: maybe(fc.array(asked)) },
  })
  const row: fc.Arbitrary<SessionRow> = fc.record({
    ...{ id: text, client: text, seq: whole, lease: whole, expiresAt: whole, evictions: whole, asks: whole },
    ...{ label: maybe(text), beacon: maybe(text), challenged: maybe(whole) },
  })

  test('a record is unchanged by encoding and decoding', () => {
    fc.assert(
      fc.property(record, (record) => {
        expect(decodeRecord(record.key, encodeRecord(record))).toEqual(record)
      }),
    )
  })

  test('a record is unchanged by JSON and by a structured clone', () => {
    fc.assert(
      fc.property(record, (record) => {
        expect(JSON.parse(JSON.stringify(record))).toEqual(record)
        expect(structuredClone(record)).toEqual(record)
      }),
    )
  })

  test('a session row is unchanged by encoding and decoding, by JSON and by a structured clone', () => {
    fc.assert(
      fc.property(row, (row) => {
        expect(decodeSession(row.id, encodeSession(row))).toEqual(row)
        expect(JSON.parse(JSON.stringify(row))).toEqual(row)
        expect(structuredClone(row)).toEqual(row)
      }),
    )
  })

  test('commands and outcomes are unchanged by JSON, with records in their plain form, and by a structured clone', () => {
    fc.assert(
      fc.property(history, (actions) =>
        play(actions, ({ command, outcome }) => {
          expect(JSON.parse(JSON.stringify(command))).toEqual(command)
          const sent = JSON.parse(JSON.stringify('record' in outcome ? { ...outcome, record: plainView(outcome.record) } : outcome))
          expect('record' in sent ? { ...sent, record: viewOfPlain(sent.record) } : sent).toEqual(outcome)
          expect(structuredClone([command, outcome])).toEqual([command, outcome])
        }),
      ),
      { numRuns: 20 },
    )
  })

  /** Stored records with one field, at any depth, replaced by another value. */
  const damaged = fc.tuple(record, fc.nat(), fc.jsonValue()).map(([whole, place, value]) => {
    const fields = JSON.parse(encodeRecord(whole))
    const places: [unknown[], number][] = []
    const visit = (list: unknown[]): void =>
      list.forEach((item, index) => {
        places.push([list, index])
        if (Array.isArray(item)) visit(item)
      })
    visit(fields)
    const [list, index] = places[place % places.length] ?? [fields, 0]
    list[index] = value
    return JSON.stringify(fields)
  })
  const anyText = fc.oneof(fc.string({ unit: 'binary' }), fc.json(), damaged)

  test('J12: any text is either a valid record or refused with a LockError that names the key', () => {
    let good = 0
    let bad = 0
    fc.assert(
      fc.property(anyText, (text) => {
        let record: LockRecord
        try {
          record = decodeRecord('my key', text)
        } catch (error) {
          bad++
          expect(error).toMatchObject({
            name: 'LockError',
            code: expect.stringMatching(/^(corrupt|store)$/),
            message: expect.stringContaining('"my key"'),
          })
          return
        }
        good++
        const { token, holders, queue } = record
        expect(Number.isSafeInteger(token)).toBe(true)
        for (const held of holders) expect(Number.isSafeInteger(held.token) && held.token <= token).toBe(true)
        for (const { from, to } of queue) expect(Number.isSafeInteger(from) && Number.isSafeInteger(to) && from <= to).toBe(true)
        expect(decodeRecord('my key', encodeRecord(record))).toEqual(record)
      }),
      { numRuns: 2_000 },
    )
    expect(good).toBeGreaterThan(50)
    expect(bad).toBeGreaterThan(500)
  })

  test('J12: any text is either a valid session row or refused with a LockError', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        try {
          const row = decodeSession('s', text)
          expect(decodeSession('s', encodeSession(row))).toEqual(row)
        } catch (error) {
          expect(error).toMatchObject({ name: 'LockError' })
        }
      }),
      { numRuns: 1_000 },
    )
  })
})
