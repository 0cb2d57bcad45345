import { describe, expect, test } from 'vitest'
import { Rhythm, type Timed } from '../../../src/locks/core/rhythm.ts'

const lease = (parts: Partial<Timed> = {}): Timed => ({
  ...{ leans: false, renewsItself: false, triedAt: -Infinity, pace: 100, pinsAt: Infinity, endsAt: 1_000 },
  ...parts,
})
const leaning = (endsAt?: number): Timed => lease({ leans: true, ...(endsAt !== undefined && { endsAt }) })

describe('the rhythm of a session’s leases', () => {
  test('has a beat every tenth of the duration while leases lean on the session', () => {
    const rhythm = new Rhythm(100)
    const all = [leaning()]
    expect(rhythm.keep(all[0] as Timed, 0)).toBe(100)
    expect([99, 100, 150, 200].map((now) => rhythm.tick(all, now).beat)).toEqual([false, true, false, true])
    expect(rhythm.next(all[0] as Timed)).toBe(300)
  })

  test('has no beat without such leases, and begins anew with the next one', () => {
    const rhythm = new Rhythm(100)
    rhythm.keep(leaning(), 0)
    expect(rhythm.tick([], 100).beat).toBe(false)
    expect(rhythm.keep(leaning(), 500)).toBe(600)
  })

  test('sends no beat for leases that end at that moment', () => {
    const rhythm = new Rhythm(100)
    const late = leaning(100)
    rhythm.keep(late, 0)
    expect(rhythm.tick([late], 100)).toEqual({ lapsed: [late], beat: false, renewals: [], pinChecks: [] })
  })

  test('renews a lease of its own a pause after the last try, and not one that has ended', () => {
    const own = lease({ renewsItself: true, triedAt: 20 })
    const over = lease({ renewsItself: true, triedAt: 20, endsAt: 110 })
    const rhythm = new Rhythm<Timed>(100)
    expect([rhythm.keep(own, 20), rhythm.keep(over, 20)]).toEqual([120, 110])
    expect(rhythm.tick([own, over], 119)).toMatchObject({ lapsed: [over], renewals: [] })
    expect(rhythm.tick([own, over], 120)).toMatchObject({ lapsed: [over], renewals: [own] })
  })

  test('checks for pins what only its owner’s code renews', () => {
    const manual = lease({ pinsAt: 700 })
    const rhythm = new Rhythm<Timed>(100)
    expect(rhythm.keep(manual, 0)).toBe(700)
    expect(rhythm.tick([manual], 699).pinChecks).toEqual([])
    expect(rhythm.tick([manual], 700).pinChecks).toEqual([manual])
  })

  test('leaves a lease whose end something else decides', () => {
    const checked = lease({ endsAt: Infinity })
    expect(new Rhythm<Timed>(100).tick([checked], 1e9).lapsed).toEqual([])
  })
})
