import { expect, test } from 'vitest'
import type { Command, Outcome } from '../../src/protocol/index.ts'
import { LockError } from '../../src/protocol/index.ts'
import { Access, type Caller } from '../../src/server/access.ts'
import { gather } from '../../src/server/gather.ts'

const of = (name: string): Caller => new Access(undefined).nobody(name)
const challenge = (session: string): Command => ({ type: 'challenge', session })

/** A store that records the batches it gets, and fails for one session. */
function noted() {
  const applied: string[][] = []
  const apply = async (commands: readonly Command[]): Promise<Outcome[]> => {
    const sessions = commands.map((command) => ('session' in command ? (command.session as string) : ''))
    applied.push(sessions)
    if (sessions.includes('corrupt')) throw new LockError('corrupt', 'a record is damaged')
    return sessions.map((session) => (session === 'gone' ? { type: 'ended' } : { type: 'challenged' }))
  }
  return { applied, apply: gather({ apply }, { within: () => ({ alongside: undefined, done() {} }) }) }
}

test('batches of one turn of the event loop go to the store as one, and each gets its own outcomes', async () => {
  const { applied, apply } = noted()
  const done = await Promise.all([apply([challenge('a'), challenge('gone')]), apply([challenge('b')])])
  expect(done.map((outcomes) => outcomes.map(({ type }) => type))).toEqual([['challenged', 'ended'], ['challenged']])
  await apply([challenge('c')])
  expect(applied).toEqual([['a', 'gone', 'b'], ['c']])
})

test('if one batch fails, the others are still carried out, in order', async () => {
  const { applied, apply } = noted()
  const done = await Promise.allSettled([apply([challenge('a')]), apply([challenge('corrupt')]), apply([challenge('b')])])
  expect(done).toMatchObject([{ status: 'fulfilled' }, { status: 'rejected', reason: { code: 'corrupt' } }, { status: 'fulfilled' }])
  expect(applied).toEqual([['a', 'corrupt', 'b'], ['a'], ['corrupt'], ['b']])
})

test('each credential has a share of a transaction, and the rest of its commands go into the next ones, in order', async () => {
  const { applied, apply } = noted()
  const many = (name: string, count: number): Command[] => Array.from({ length: count }, (_, n) => challenge(`${name}${n}`))
  const long = apply(many('long', 300), of('flood'))
  const others = Array.from({ length: 5 }, (_, n) => apply(many(`flood${n}-`, 60), of('flood')))
  await apply([challenge('user')], of('user'))
  expect(applied).toHaveLength(1)
  expect(applied[0]).toContain('user')
  expect(applied[0]?.length).toBeLessThanOrEqual(129)
  expect((await long).length).toBe(300)
  await Promise.all(others)
  expect(applied.flat().filter((session) => session.startsWith('long'))).toEqual(Array.from({ length: 300 }, (_, n) => `long${n}`))
})
