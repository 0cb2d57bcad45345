import type { Bar, Step, Timeline } from './timeline.ts'

/** What both pictures show: A reads, and is stopped just after it has checked that it holds the lock. B takes over and goes on counting. */
const before: readonly Step[] = [
  { from: 1, to: 0, text: 'granted, token 7', tone: 'held' },
  { from: 0, to: 1, text: 'read: 5' },
  { at: 0, text: 'isHeld()? true', tone: 'held' },
  { at: 0, text: 'stopped here', tone: 'bad' },
  { later: 'the lease of A ends' },
  { from: 1, to: 2, text: 'granted, token 8', tone: 'held' },
  { from: 2, to: 1, text: 'read: 5' },
  { from: 2, to: 1, text: 'write: 6', tone: 'good' },
  { at: 0, text: 'goes on where|it was' },
]

const lanes = ['A', 'database', 'B']

const bars: readonly Bar[] = [
  { lane: 0, from: 0, to: 3, kind: 'held' },
  { lane: 0, from: 3, to: 8, kind: 'stopped' },
]

export const staleUnfenced: Timeline = {
  title: 'A late write without a fence: an update is lost',
  description:
    'A gets the lock, reads 5, checks that it holds the lock, and is stopped. Its lease ends. B gets the lock, reads 5 and writes 6. A goes on and writes 6. Two updates were made, and the counter shows one.',
  lanes,
  steps: [...before, { from: 0, to: 1, text: 'write: 6', tone: 'bad' }, { at: 1, text: '6 after two|updates: one|is lost', tone: 'bad' }],
  bars: [...bars, { lane: 2, from: 5, to: 9, kind: 'held' }],
}

export const staleFenced: Timeline = {
  title: 'The same late write with a fence: it is refused',
  description:
    'A gets the lock with token 7, reads 5 and is stopped. Its lease ends. B gets the lock with token 8, reads 5 and writes 6. A goes on and writes 6 in a fenced transaction. The database finds that B holds the lock and refuses the write. A gets the lock again, reads 6 and writes 7.',
  lanes,
  steps: [
    ...before,
    { from: 0, to: 1, text: 'fenced write: 6', tone: 'bad' },
    { at: 1, text: 'token 7 is not|the holder:|refused', tone: 'good' },
    { from: 1, to: 0, text: 'LockError: lost', tone: 'good' },
    { at: 0, text: 'asks again,|reads 6,|writes 7', tone: 'good' },
  ],
  bars: [...bars, { lane: 2, from: 5, to: 9, kind: 'held' }],
}
