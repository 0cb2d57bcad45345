import { expect, test } from 'vitest'
import { emptyRecord, type Holder, type LockRecord, type Run, type SessionRow, viewOf } from '../../src/protocol/index.ts'

test('a look reads the same number of rows, however many sessions wait', () => {
  const queue = Array.from({ length: 200 }, (_, index) => ({ session: `s${index}`, from: 1, to: 1 }) as Run)
  const record: LockRecord = { ...emptyRecord('k'), holders: [{ session: 'holder' } as Holder], queue }
  const read = new Set<string>()
  const rowOf = (id: string): SessionRow => {
    read.add(id)
    return { id } as SessionRow
  }
  viewOf(record, rowOf, 's150')
  expect([...read]).toEqual(['holder', 's0', 's150', 's149'])
  viewOf(record, rowOf)
  expect(read.size).toBe(201)
})
