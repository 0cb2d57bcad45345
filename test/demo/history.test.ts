import { describe, expect, it } from 'vitest'
import { captionOf } from '../../demo/model/captions.ts'
import { lostOf } from '../../demo/model/counters.ts'
import { History, type Step } from '../../demo/model/history.ts'
import type { Event, Report } from '../../demo/model/reports.ts'

/** Adds these events to a history, one report each ms from 1,000 ms on. @returns the history and its last step */
function told(...events: readonly (readonly [worker: string, event: Event])[]): { history: History; last: Step } {
  const history = new History()
  const steps = events.map(([worker, event], index) => history.add({ ...event, worker, at: 1_000 + index } as Report))
  return { history, last: steps.at(-1) as Step }
}

const holds = (token: number): Event => ({ type: 'holds', token })

describe('the history of the demo', () => {
  it('has no take-over when the lock is released', () => {
    const { history } = told(['a', holds(1)], ['a', { type: 'released', token: 1 }], ['b', holds(2)])
    expect(history.takeOvers).toEqual([])
    expect(history.holder).toBe('b')
  })

  it('has no take-over when the report of the release comes after that of the next grant', () => {
    const { history } = told(['a', holds(1)], ['b', holds(2)], ['a', { type: 'released', token: 1 }])
    expect(history.takeOvers).toEqual([])
    expect(history.holder).toBe('b')
  })

  it('has a take-over after a death, whichever of death and grant is reported first', () => {
    const death: Event = { type: 'crashed', how: 'crashed' }
    const { history, last } = told(['a', holds(1)], ['a', death], ['b', holds(2)])
    expect(history.takeOvers).toEqual([{ from: 'a', to: 'b', since: 1_001, at: 1_002, why: 'death' }])
    expect(captionOf(last)).toMatchObject({ text: 'B got the lock 1 ms later: a was proved dead.', shows: 'dead' })
    const late = told(['a', holds(1)], ['b', holds(2)], ['a', death])
    expect(late.history.takeOvers).toMatchObject([{ from: 'a', to: 'b', why: 'death' }])
    expect(late.history.holder).toBe('b')
  })

  it('has a take-over after a steal, whichever of loss and grant is reported first', () => {
    const lost: Event = { type: 'lost', token: 1, how: 'stolen' }
    const first = told(['a', holds(1)], ['b', { type: 'steals' }], ['b', holds(2)], ['a', lost])
    const second = told(['a', holds(1)], ['b', { type: 'steals' }], ['a', lost], ['b', holds(2)])
    for (const { history } of [first, second]) expect(history.takeOvers).toMatchObject([{ from: 'a', to: 'b', why: 'steal' }])
  })

  it('shows, until it wakes, that a hung worker no longer has the lock', () => {
    const { history } = told(['a', holds(1)], ['a', { type: 'hangs', how: 'busy' }], ['b', holds(2)], ['a', { type: 'woke', held: false }])
    expect(history.lanes.get('a')?.spans.map(({ kind }) => kind)).toEqual(['holds', 'silent', 'away'])
    expect(history.lanes.get('a')?.spans.at(-1)?.to).toBe(1_003)
    expect(history.takeOvers).toMatchObject([{ why: 'silence' }])
  })

  it('keeps the newest of a counter’s tallies, in whatever order they arrive', () => {
    const wrote = (value: number, made: number): Event => ({ type: 'wrote', mode: 'none', tally: { value, made }, late: false })
    const { history } = told(['a', wrote(4, 6)], ['b', wrote(4, 5)])
    expect(lostOf(history.tallies.get('none') ?? { value: 0, made: 0 })).toBe(2)
  })
})
