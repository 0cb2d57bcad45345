import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { check } from '../../nemesis/check.ts'
import { type Final, historyOf, type Line, type Note, parseLines, placeOf, type Write } from '../../nemesis/history.ts'
import { completed } from '../../nemesis/wiped.ts'

const write = (id: string, saw: string, value: number, token = 1, key = 'a'): Write => ({ id, key, token, saw, value })

/** Gives each note a time, in their order. */
const timed = (...notes: readonly Note[]): Line[] => notes.map((note, at) => ({ ...note, at }))

const granted = (token = 1, key = 'a'): Note[] => [
  { type: 'ask', key },
  { type: 'grant', key, token },
]
const began = (write: Write): Note => ({ type: 'invoke', write })
const ok = ({ id }: Write): Note => ({ type: 'ok', id })
const refused = ({ id }: Write): Note => ({ type: 'fail', id, blind: false })
const unsure = ({ id }: Write): Note => ({ type: 'info', id, error: 'store: full' })

/** The contents of a store that carried out these writes, in this order. */
function written(...log: readonly Write[]): Final {
  const rows = new Map(log.map((write) => [write.key, write]))
  return { rows: [...rows.values()], log }
}

const allowed = { skew: 20, afterWipe: 500 }
const verdict = (final: Final, ...workers: readonly Line[][]) => {
  const history = historyOf(workers)
  return check(history, completed(history, final), allowed)
}
const kinds = (final: Final, ...workers: readonly Line[][]) => verdict(final, ...workers).violations.map(({ kind }) => kind)

const one = write('1', '', 1)
const two = write('2', '1', 2)

describe('the checker accepts', () => {
  test('writes that each saw the write before, over two keys and two holders', () => {
    const other = write('o', '', 1, 7, 'b')
    const later = write('3', '2', 3, 2)
    const first = timed(...granted(), began(one), ok(one), began(two), ok(two), ...granted(7, 'b'), began(other), ok(other))
    const second = timed(...granted(2), began(later), ok(later)).map((line) => ({ ...line, at: line.at + 100 }))
    expect(verdict(written(one, two, other, later), first, second)).toMatchObject({ lost: 0, violations: [] })
  })

  test('an empty history', () => {
    expect(verdict(written())).toMatchObject({ lost: 0, violations: [] })
  })

  test.each([
    ['is written', written(one, two)],
    ['is not', written(one)],
  ])('an ambiguous write that %s', (_, final) => {
    expect(kinds(final, timed(...granted(), began(one), ok(one), began(two)))).toEqual([])
    expect(kinds(final, timed(...granted(), began(one), ok(one), began(two), unsure(two)))).toEqual([])
  })

  test('a refused write that is not written', () => {
    expect(kinds(written(one), timed(...granted(), began(one), ok(one), began(two), refused(two)))).toEqual([])
  })
})

describe('the checker refuses', () => {
  const both = timed(...granted(), began(one), ok(one), began(two), ok(two))

  test('an update that another overwrote without seeing it, and counts all such updates', () => {
    const three = write('3', '2', 3)
    const stale = write('s', '1', 2)
    const stopped = timed(...granted(0), began(stale), ok(stale))
    const result = verdict(written(one, two, three, stale), timed(...both, began(three), ok(three)), stopped)
    expect(result.lost).toBe(2)
    expect(result.violations.map(({ kind }) => kind)).toContain('lost update')
  })

  test('a first update that the second did not see', () => {
    const blind = write('2', '', 1)
    expect(verdict(written(one, blind), timed(...granted(), began(one), ok(one), began(blind), ok(blind)))).toMatchObject({ lost: 1 })
  })

  test('an acknowledged write that is missing', () => {
    const result = verdict(written(one), both)
    expect(result).toMatchObject({ lost: 1, violations: [{ kind: 'acknowledged but not written' }] })
  })

  test('an ambiguous write that was written twice', () => {
    expect(kinds(written(one, two, two), timed(...granted(), began(one), ok(one), began(two)))).toContain('written twice')
  })

  test('a refused write that was written', () => {
    expect(kinds(written(one, two), timed(...granted(), began(one), ok(one), began(two), refused(two)))).toEqual(['refused but written'])
  })

  test('a token that goes down, even if no update is lost', () => {
    const late = write('2', '1', 2, 1)
    const early = write('1', '', 1, 2)
    const final = written(early, late)
    expect(kinds(final, timed(...granted(2), began(early), ok(early)), timed(...granted(1), began(late), ok(late)))).toEqual(['token went down'])
  })

  test('a write under a token that was never granted', () => {
    const forged = write('2', '1', 2, 9)
    expect(kinds(written(one, forged), timed(...granted(), began(one), ok(one), began(forged), ok(forged)))).toEqual(['written without a grant'])
  })

  test('a write that no worker made, or that differs from the one that was made', () => {
    expect(kinds(written(one, two), timed(...granted(), began(one), ok(one)))).toEqual(['written by nobody'])
    expect(kinds(written(one, { ...two, value: 3 }), both)).toContain('written otherwise than asked')
  })

  test('a write that comes in the log after a write that began later', () => {
    const [early, late] = [write('early', 'late', 2), write('late', '', 1)]
    expect(kinds(written(late, early), timed(...granted(), began(early), ok(early), began(late), ok(late)))).toEqual(['out of order'])
  })

  test('a row that is not the last write in the log, or is missing', () => {
    expect(kinds({ rows: [one], log: [one, two] }, both)).toEqual(['row is not the last write'])
    expect(kinds({ rows: [], log: [one, two] }, both)).toEqual(['row is not the last write'])
    expect(kinds({ rows: [one], log: [] }, timed(...granted(), began(one)))).toEqual(['row is not the last write'])
  })

  test('a token that is granted twice, or after a higher token', () => {
    const [first, second] = [timed(...granted(5)), (token: number) => timed(...granted(token)).map((line) => ({ ...line, at: line.at + 100 }))]
    expect(kinds(written(), first, second(6))).toEqual([])
    expect(kinds(written(), first, second(5))).toContain('granted out of order')
    expect(kinds(written(), first, second(4))).toEqual(['granted out of order'])
  })

  test('any log in which one write is missing, doubled, or swapped with the next', () => {
    const sound = (length: number) => Array.from({ length }, (_, index) => write(`${index + 1}`, index ? `${index}` : '', index + 1))
    const spoil: Record<string, (log: Write[], at: number) => Write[]> = {
      missing: (log, at) => log.toSpliced(at, 1),
      doubled: (log, at) => log.toSpliced(at, 0, log[at] as Write),
      swapped: (log, at) => log.toSpliced(at, 2, log[at + 1] as Write, log[at] as Write),
    }
    const cases = fc
      .integer({ min: 2, max: 20 })
      .chain((length) => fc.tuple(fc.constant(length), fc.nat(length - 2), fc.constantFrom(...Object.keys(spoil))))
    fc.assert(
      fc.property(cases, ([length, at, how]) => {
        const log = sound(length)
        const worker = timed(...granted(), ...log.flatMap((write) => [began(write), ok(write)]))
        expect(kinds(written(...log), worker)).toEqual([])
        expect(kinds(written(...(spoil[how]?.(log, at) ?? [])), worker)).not.toEqual([])
      }),
    )
  })
})

describe('for a store that was wiped, the checker', () => {
  const [first, second] = [placeOf('a', 'first'), placeOf('a', 'second')]
  const of = (key: string, { id, saw, value, token }: Write): Write => write(id, saw, value, token, key)
  const [w1, w2, w3] = [of(first, one), of(first, two), write('3', '2', 3, 1, first)]
  const all = timed(...granted(1, first), began(w1), ok(w1), began(w2), ok(w2), began(w3), ok(w3))
  const endOf = (id: string): number => all.find((line) => line.type === 'ok' && line.id === id)?.at ?? 0
  /** The store's contents after a wipe: `log` was read last from its first life, just after `acknowledged` had been acknowledged. */
  const read = (acknowledged: Write, ...log: Write[]): Final => ({ ...written(), log, wiped: { [first]: endOf(acknowledged.id) + 0.5 } })

  test('accepts writes acknowledged after the last reading, if they form a chain from there', () => {
    expect(verdict(read(w1, w1), all)).toMatchObject({ lost: 0, violations: [] })
    expect(verdict(read(w2, w1, w2), all)).toMatchObject({ lost: 0, violations: [] })
  })

  test('accepts an ambiguous write that a later write saw', () => {
    expect(
      kinds(
        read(w1, w1),
        all.filter((line) => line.type !== 'ok' || line.id !== '2'),
      ),
    ).toEqual([])
  })

  test('accepts a second life that starts empty', () => {
    const anew = write('n', '', 1, 9, second)
    expect(
      kinds({ rows: [anew], log: [w1, anew], wiped: { [first]: endOf('1') + 0.5 } }, [
        ...all,
        ...timed(...granted(9, second), began(anew), ok(anew)).map((line) => ({ ...line, at: line.at + 100 })),
      ]),
    ).toEqual([])
  })

  test('refuses a write that was acknowledged before the last reading began but was not read', () => {
    expect(verdict(read(w3, w1, w2), all)).toMatchObject({ lost: 1, violations: [{ kind: 'acknowledged but not written' }] })
  })

  test('refuses two acknowledged writes of which neither saw the other', () => {
    const fork = write('f', '1', 2, 2, first)
    const other = timed(...granted(2, first), began(fork), ok(fork)).map((line) => ({ ...line, at: line.at + 100 }))
    expect(kinds(read(w1, w1), all, other)).toContain('lost update')
  })

  test('refuses a refused write that an acknowledged write saw', () => {
    const lines = all.map((line): Line => (line.type === 'ok' && line.id === '2' ? { type: 'fail', id: '2', blind: false, at: line.at } : line))
    expect(kinds(read(w1, w1), lines)).toEqual(['refused but written'])
  })

  test('refuses a write that came through a lock of another life', () => {
    // The checker names contents after the life in which they were read, whatever key they carry.
    expect(kinds({ ...written(), log: [of(second, w1)], wiped: { [second]: 0 } }, timed(...granted(1, first), began(w1)))).toContain(
      'written otherwise than asked',
    )
  })
})

describe('for two holders of one lock, the checker', () => {
  const held = (key: string, token: number, from: number, until: number): Note => ({ type: 'held', key, token, from, until })

  test('accepts that one follows the other, within the precision of the clocks', () => {
    expect(kinds(written(), timed(held('a', 1, 0, 100)), timed(held('a', 2, 85, 200)))).toEqual([])
    expect(kinds(written(), timed(held('a', 1, 0, 100)), timed(held('b', 2, 10, 200)))).toEqual([])
  })

  test('refuses that the holder with the older token still holds the lock, even if the other has lost it again', () => {
    expect(kinds(written(), timed(held('a', 1, 0, 100)), timed(held('a', 2, 70, 72)))).toEqual(['held twice'])
  })

  test('accepts an overlap for the time of a lease, and no longer, if the store of one was wiped', () => {
    const [first, second] = [placeOf('a', 'first'), placeOf('a', 'second')]
    expect(verdict(written(), timed(held(first, 1, 0, 600)), timed(held(second, 2, 101, 900))).overlap.longestAfterWipe).toBe(499)
    expect(kinds(written(), timed(held(first, 1, 0, 600)), timed(held(second, 2, 101, 900)))).toEqual([])
    expect(kinds(written(), timed(held(first, 1, 0, 600)), timed(held(second, 2, 70, 900)))).toEqual(['held twice'])
  })
})

describe('a history', () => {
  test('is read from lines, the last of which may be cut off', () => {
    const lines = timed(...granted(), began(one), ok(one))
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('')
    expect(parseLines(text)).toEqual(lines)
    expect(parseLines(text.slice(0, -5))).toEqual(lines.slice(0, -1))
    expect(parseLines('{"type":"as')).toEqual([])
  })

  test('that contradicts itself is refused, since it means that the workers are wrong', () => {
    expect(() => historyOf([timed(ok(one))])).toThrow('ended before it began')
    expect(() => historyOf([timed(began(one)), timed(began(one))])).toThrow('both called 1')
  })
})
