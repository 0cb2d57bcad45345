import { expect, test } from 'vitest'
import { Observer } from '../../src/locks/core/observer.ts'
import { Lookout } from '../../src/locks/lookout.ts'
import type { Session } from '../../src/locks/session.ts'
import { type Command, emptyRecord, type LockView } from '../../src/protocol/index.ts'

test.each([Infinity, 0])('a sleep counts as one look, also for a record without holders, which gives no pause between looks (pause %d)', (pause) => {
  const sent: Command[] = []
  const session = {
    id: 'own',
    settings: { maxBackoff: 100, store: {}, expiry: 'auto' },
    lines: { takeObserver: () => new Observer() },
    send: async (command: Command) => void sent.push(command),
  } as unknown as Session
  const run = { client: 'c', mode: 'exclusive', from: 1, to: 1, confirm: 500, lapses: 0 } as const
  const row = { id: 'other', client: 'c', seq: 1, expiresAt: 0, lease: 1_000, evictions: 0, asks: 0 }
  const queue = [
    { ...run, session: 'other' },
    { ...run, session: 'own' },
  ]
  const view: LockView = {
    ...emptyRecord('k'),
    queue,
    sessions: new Map([
      ['other', row],
      ['own', { ...row, id: 'own' }],
    ]),
  }
  const lookout = new Lookout(session, 'k', () => {})
  lookout.evictSilent(view, 0, 0, pause)
  lookout.evictSilent(view, 3_600_000, 3_600_000, pause)
  expect(sent).toEqual([])
  // The challenge is only postponed: enough looks on time show the silence.
  for (let at = 3_600_000; !sent.length && at < 3_602_000; at += 100) lookout.evictSilent(view, at, at, 100)
  expect(sent).toEqual([{ type: 'challenge', session: 'other' }])
})
