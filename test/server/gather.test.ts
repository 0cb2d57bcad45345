import { expect, test } from 'vitest'
import type { Command, Outcome } from '../../src/protocol/index.ts'
import { LockError } from '../../src/protocol/index.ts'
import { gather } from '../../src/server/gather.ts'

const challenge = (session: string): Command => ({ type: 'challenge', session })

/** A store that notes what is asked of it, and cannot do it for one session. */
function noted() {
  const applied: string[][] = []
  const apply = async (commands: readonly Command[]): Promise<Outcome[]> => {
    const sessions = commands.map((command) => ('session' in command ? (command.session as string) : ''))
    applied.push(sessions)
    if (sessions.includes('corrupt')) throw new LockError('corrupt', 'a record is damaged')
    return sessions.map((session) => (session === 'gone' ? { type: 'ended' } : { type: 'challenged' }))
  }
  return { applied, apply: gather({ apply }) }
}

test('batches of one turn of the event loop go to the store together, and each gets its own outcomes', async () => {
  const { applied, apply } = noted()
  const done = await Promise.all([apply([challenge('a'), challenge('gone')]), apply([challenge('b')])])
  expect(done.map((outcomes) => outcomes.map(({ type }) => type))).toEqual([['challenged', 'ended'], ['challenged']])
  await apply([challenge('c')])
  expect(applied).toEqual([['a', 'gone', 'b'], ['c']])
})

test('what fails for one batch is done for the others, in order', async () => {
  const { applied, apply } = noted()
  const done = await Promise.allSettled([apply([challenge('a')]), apply([challenge('corrupt')]), apply([challenge('b')])])
  expect(done).toMatchObject([{ status: 'fulfilled' }, { status: 'rejected', reason: { code: 'corrupt' } }, { status: 'fulfilled' }])
  expect(applied).toEqual([['a', 'corrupt', 'b'], ['a'], ['corrupt'], ['b']])
})
