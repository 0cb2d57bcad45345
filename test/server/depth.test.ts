import { expect, test } from 'vitest'
import { isTooDeep } from '../../src/server/depth.ts'

const padding = ' '.repeat(5_000)
const nested = (deep: number, inside = ''): string => padding + '[{"a":'.repeat(deep / 2) + inside + '}]'.repeat(deep / 2)

test('what is nested more than a hundred deep is too deep', () => {
  expect([isTooDeep(nested(100)), isTooDeep(nested(102))]).toEqual([false, true])
})

test('brackets in strings do not count, however the strings are escaped', () => {
  const brackets = '['.repeat(500)
  for (const text of [brackets, `\\" ${brackets}`, `\\\\\\" ${brackets} \\\\`])
    expect([text, isTooDeep(nested(100, `"${text}"`))]).toEqual([text, false])
  // The string ends before its last backslash could escape anything.
  expect(isTooDeep(`${padding}["\\\\", ${brackets}`)).toBe(true)
  expect(isTooDeep(`${padding}"never ends ${brackets}`)).toBe(false)
})
