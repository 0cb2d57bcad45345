import { describe, expect, it } from 'vitest'
import { parseCode, parseCount, parseSignal, parseTime } from '../../src/cli/args.ts'

describe('an argument', () => {
  it.each([
    ['10', 10_000],
    ['1.5', 1_500],
    ['0', 0],
    ['300ms', 300],
    ['10s', 10_000],
    ['5m', 300_000],
    ['2h', 7_200_000],
    ['1d', 86_400_000],
  ])('as the time %s is %d ms', (text, ms) => {
    expect(parseTime(text)).toBe(ms)
  })

  it.each(['', '-1', '5 s', '1w', 's', '1e3', '0x10', 'Infinity'])('as the time %j is refused', (text) => {
    expect(() => parseTime(text)).toThrow('such as 500ms, 10s or 5m')
  })

  it.each(['TERM', 'term', 'SIGTERM', 'sigterm'])('as the signal %s is SIGTERM', (text) => {
    expect(parseSignal(text)).toBe('SIGTERM')
  })

  it.each(['', 'SIG', '15', 'NOPE'])('as the signal %j is refused', (text) => {
    expect(() => parseSignal(text)).toThrow('A signal is a name')
  })

  it.each(['256', '-1', '1.5', '', 'x'])('as the exit code %j is refused', (text) => {
    expect(() => parseCode(text)).toThrow('from 0 to 255')
  })

  it.each(['0', '-1', '1.5', '', 'x'])('as the count %j is refused', (text) => {
    expect(() => parseCount(text)).toThrow('from 1')
  })
})
