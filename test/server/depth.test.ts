import { expect, test } from 'vitest'
import { isTooDeep } from '../../src/server/depth.ts'

const padding = ' '.repeat(5_000)
const nested = (deep: number, inside = ''): string => padding + '[{"a":'.repeat(deep / 2) + inside + '}]'.repeat(deep / 2)

test('a text with more than 100 levels of nesting is too deep', () => {
  expect([isTooDeep(nested(100)), isTooDeep(nested(102))]).toEqual([false, true])
})

test('brackets inside strings do not count, whatever escapes the strings have', () => {
  const brackets = '['.repeat(500)
  for (const text of [brackets, `\\" ${brackets}`, `\\\\\\" ${brackets} \\\\`])
    expect([text, isTooDeep(nested(100, `"${text}"`))]).toEqual([text, false])
  // The second backslash is escaped by the first, so the string ends before the brackets.
  expect(isTooDeep(`${padding}["\\\\", ${brackets}`)).toBe(true)
  expect(isTooDeep(`${padding}"never ends ${brackets}`)).toBe(false)
})
