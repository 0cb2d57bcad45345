import { describe, expect, it } from 'vitest'
import { lost, released } from '../../../src/locks/core/ends.ts'
import { Grant, type Granted, type Keeper } from '../../../src/locks/core/grant.ts'

const granted: Granted = { session: 's', mode: 'exclusive', number: 1, token: 7, reserve: undefined, previous: 0, seq: undefined }

/** A grant of 100 ms whose request was sent at 1,000 ms and which began at 1,010 ms. */
const start = (terms: { until?: number; maxHold?: number; seq?: number; reserve?: number; keeper?: Keeper } = {}) => {
  const { seq, reserve, keeper, ...rest } = terms
  const beats = { renewedAt: 900, renewedDrift: 0 }
  const grant = new Grant({ ...granted, seq, reserve }, { name: 'n', key: 'k', duration: 100, since: 1_000, drift: 5, ...rest }, keeper, beats, 1_010)
  return { grant, beats }
}

describe('a grant', () => {
  it('lasts for its duration, counted from when its command was sent', () => {
    expect(start().grant.deadline).toBe(1_100)
  })

  it('that leans on its session is renewed by the session’s beats, and one with its own lease is not', () => {
    const leaning = start()
    const alone = start({ seq: 3 })
    for (const { beats } of [leaning, alone]) Object.assign(beats, { renewedAt: 1_050, renewedDrift: 9 })
    expect([leaning.grant.deadline, leaning.grant.basis]).toEqual([1_150, { at: 1_050, drift: 9 }])
    expect([alone.grant.deadline, alone.grant.basis]).toEqual([1_100, { at: 1_000, drift: 5 }])
    expect([leaning.grant.renewsItself, alone.grant.renewsItself]).toEqual([false, true])
  })

  it('that is not confirmed ends at its short deadline, whatever beats come, and is held in full once it is confirmed', () => {
    const { grant, beats } = start({ until: 1_060, seq: 3 })
    Object.assign(beats, { renewedAt: 1_050 })
    expect([grant.deadline, grant.renewsItself, grant.pace]).toEqual([1_060, true, 5])
    grant.renewed(1_055, 6, undefined)
    expect([grant.life, grant.deadline]).toEqual([{ is: 'held', by: 'session' }, 1_155])
  })

  it('that asked for a longer lease before it was confirmed renews itself from then on', () => {
    const { grant } = start({ until: 1_060 })
    grant.standAlone()
    grant.renewed(1_055, 6, undefined)
    expect(grant.life).toEqual({ is: 'held', by: 'itself' })
  })

  it('that asks for a longer lease keeps its deadline from the last beat', () => {
    const { grant, beats } = start()
    Object.assign(beats, { renewedAt: 1_050, renewedDrift: 9 })
    grant.standAlone()
    Object.assign(beats, { renewedAt: 1_080 })
    expect([grant.deadline, grant.basis]).toEqual([1_150, { at: 1_050, drift: 9 }])
  })

  it('that only its owner’s code renews is renewed by nothing else, and looks for a pin before its end', () => {
    const { grant } = start({ keeper: 'owner', seq: 3 })
    expect([grant.leans, grant.renewsItself, grant.pinsAt]).toEqual([false, false, 1_070])
    grant.sawPins(1_075)
    expect(grant.pinsAt).toBe(1_085)
    grant.renewed(1_075, 5, 4)
    expect([grant.life, grant.deadline]).toEqual([{ is: 'held', by: 'owner' }, 1_175])
  })

  it('is not renewed by a reply to a command that was sent before the last renewal', () => {
    const { grant } = start({ seq: 3 })
    grant.renewed(1_050, 8, 4)
    grant.renewed(1_040, 9, 5)
    expect([grant.deadline, grant.basis]).toEqual([1_150, { at: 1_050, drift: 8 }])
  })

  it('ends at its maxHold however often it is renewed, and says so', () => {
    const { grant } = start({ maxHold: 120 })
    grant.renewed(1_120, 5, undefined)
    expect(grant.lapse(1_129)).toBeUndefined()
    expect(grant.lapse(1_130)?.message('n')).toBe('lost "n": it was held for its maxHold')
  })

  it('lapses at its deadline, however late that is noticed', () => {
    const { grant } = start()
    expect(grant.lapse(1_099)).toBeUndefined()
    expect(grant.lapse(1_100)).toMatchObject({ code: 'lost', reason: 'expired' })
    expect(grant.lapse(9_999)?.message('n')).toBe('lost "n": it was not renewed in time')
  })

  it('is over once, and no late reply brings it back', () => {
    const { grant } = start()
    expect(grant.end(released)).toBe(true)
    expect(grant.end(lost('stolen'))).toBe(false)
    grant.renewed(1_050, 5, undefined)
    expect(grant.life).toEqual({ is: 'over', end: released })
    expect(grant.lapse(9_999)).toBeUndefined()
  })

  it('can linger while a token is reserved for its next use, and each use has its own token', () => {
    const { grant } = start({ reserve: 2, maxHold: 120 })
    expect(grant.mayLinger).toBe(true)
    grant.linger()
    expect([grant.life, grant.leans, grant.deadline]).toEqual([{ is: 'lingering' }, true, 1_100])
    expect(grant.use(1_050)).toBe(8)
    expect([grant.life, grant.deadline]).toEqual([{ is: 'held', by: 'session' }, 1_050])
    while (grant.mayLinger) grant.use(Infinity)
    expect(grant.usedToken).toBe(grant.lastToken)
  })

  it('that the heartbeat of its session does not renew cannot linger', () => {
    expect(start({ reserve: 2, seq: 3 }).grant.mayLinger).toBe(false)
    expect(start({ reserve: 2, until: 1_060 }).grant.mayLinger).toBe(false)
  })
})
