import { expect } from 'vitest'
import type { Line } from './processes/orders.ts'

/** Checks the lines of `count` workers that took the lock `turns` times each: one at a time, with rising tokens, and in turn. */
export function checkTurns(lines: readonly Line[], count: number, turns: number): void {
  const inside = lines.filter(({ event }) => event !== 'ask')
  expect(inside).toHaveLength(2 * count * turns)
  let last = 0
  for (let line = 0; line < inside.length; line += 2) {
    const { who, token } = inside[line] as Line
    expect(inside.slice(line, line + 2)).toEqual([
      { event: 'enter', who, token },
      { event: 'leave', who, token },
    ])
    expect(token).toBeGreaterThan(last)
    last = token
  }
  // On a busy machine a request may reach the queue late and be overtaken, so this checks the median only.
  const passed = lines.flatMap(({ event, who }, asked) => {
    if (event !== 'ask') return []
    const after = lines.slice(asked).filter((line) => line.event === 'enter')
    return after.findIndex((line) => line.who === who)
  })
  const median = passed.toSorted((a, b) => a - b)[Math.floor(passed.length / 2)]
  expect(median).toBeLessThan(count)
}
