import { describe, expect, it } from 'vitest'
import { namesIn, readRows, readTests } from './rows.ts'

const rows = readRows().map(({ id }) => id)
const tests = readTests()

describe('the rows of required behaviours', () => {
  it('each have an id of their own', () => {
    expect(rows.length).toBeGreaterThan(30)
    expect(new Set(rows).size).toBe(rows.length)
  })

  it.each(rows)('%s has a test', (row) => {
    expect(tests.filter((test) => test.rows.includes(row)).length).toBeGreaterThan(0)
  })

  it('are the only rows that tests name', () => {
    expect(tests.filter((test) => test.rows.some((row) => !rows.includes(row)))).toEqual([])
  })

  it('are not covered by a test that is always skipped, or by a name in a comment', () => {
    const text = `// test('M1: in a comment')
      test.skip('M2: skipped', () => {})
      test.todo('M3: to do')
      describe.each([1])('M4, T5: a group', () => {})
      test.skipIf(!posix)(\`J1: \${where}\`, () => {})`
    expect(namesIn('a.test.ts', text).map((test) => test.rows)).toEqual([['M4', 'T5'], ['J1']])
  })
})
