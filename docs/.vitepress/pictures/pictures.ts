import { type Decisions, drawDecisions } from './decisions.ts'
import { drawParts } from './parts.ts'
import { staleFenced, staleUnfenced } from './stale-writes.ts'
import { drawTimeline, type Timeline } from './timeline.ts'

const lease: Timeline = {
  title: 'A lease ends by itself when its holder hangs',
  description:
    'The holder renews its lease every second. Then it hangs. Ten seconds after its last renewal its own deadline passes. A waiter that has seen no renewal for 13.3 seconds evicts it and gets the lock.',
  lanes: ['holder', 'store', 'waiter'],
  steps: [
    { from: 0, to: 1, text: 'acquire', tone: 'held' },
    { from: 2, to: 1, text: 'acquire: waits' },
    { from: 0, to: 1, text: 'renew each 1 s', tone: 'held' },
    { at: 0, text: 'hangs', tone: 'bad' },
    { from: 2, to: 1, text: 'looks: no renewal' },
    { later: '10 s after the last renewal was sent' },
    { at: 0, text: 'isHeld() is false|signal aborts', tone: 'plain' },
    { from: 2, to: 1, text: 'looks: no renewal' },
    { later: '13.3 s without a renewal' },
    { from: 2, to: 1, text: 'evict, grant me', tone: 'held' },
    { from: 1, to: 2, text: 'granted', tone: 'held' },
    { later: ' ' },
  ],
  bars: [
    { lane: 0, from: 0, to: 6, kind: 'held' },
    { lane: 2, from: 10, kind: 'held' },
  ],
}

const beacon: Timeline = {
  title: 'A beacon proves the death of a holder, and nothing else',
  description:
    'When a holder crashes, the system takes its beacon away, the waiter hears of it and gets the lock at once. When a holder is only stopped, its beacon stays, and the waiter has to wait for the lease.',
  lanes: ['holder', 'its beacon', 'waiter'],
  steps: [
    { from: 0, to: 1, text: 'raises it', tone: 'held' },
    { from: 2, to: 1, text: 'watches it' },
    { at: 0, text: 'crashes', tone: 'bad' },
    { at: 1, text: 'is gone: the|system did that' },
    { from: 1, to: 2, text: 'it is dead', tone: 'good' },
    { at: 2, text: 'gets the lock|in milliseconds', tone: 'held' },
    { later: 'Another time, the holder does not crash.' },
    { at: 0, text: 'hangs', tone: 'bad' },
    { at: 1, text: 'still there:|no proof' },
    { at: 2, text: 'waits for the|lease to end' },
  ],
}

const channel: Timeline = {
  title: 'A hint wakes the next waiter, and nothing depends on it',
  description:
    'A release grants the lock to the next waiter in the same transaction, and a hint over the channel tells the waiter to look. If the hint is lost, the waiter looks by itself, a second later at most.',
  lanes: ['holder', 'store', 'waiter'],
  steps: [
    { from: 0, to: 1, text: 'release' },
    { at: 1, text: 'grants it to|the waiter', tone: 'held' },
    { from: 0, to: 2, text: 'hint: look, by the channel', tone: 'good' },
    { from: 2, to: 1, text: 'confirm', tone: 'held' },
    { later: 'Another time, the hint is lost.' },
    { from: 0, to: 2, text: 'hint', tone: 'good', lost: true },
    { later: 'after 1 s at most' },
    { from: 2, to: 1, text: 'looks by itself' },
    { from: 2, to: 1, text: 'confirm', tone: 'held' },
  ],
}

const tokens: Timeline = {
  title: 'A receiver outside the store refuses writes with older tokens',
  description:
    'A holds the lock with token 7 and is stopped. B gets token 8, reads and writes. The file server remembers 8 as the highest token. The late write of A with token 7 is refused.',
  lanes: ['A: token 7', 'file server', 'B: token 8'],
  steps: [
    { from: 0, to: 1, text: 'read, 7' },
    { at: 1, text: 'highest: 7' },
    { at: 0, text: 'is stopped', tone: 'bad' },
    { from: 2, to: 1, text: 'read, 8' },
    { at: 1, text: 'highest: 8' },
    { from: 2, to: 1, text: 'write, 8', tone: 'good' },
    { at: 0, text: 'goes on' },
    { from: 0, to: 1, text: 'write, 7', tone: 'bad' },
    { at: 1, text: '7 is less than|8: refused', tone: 'good' },
  ],
  bars: [{ lane: 0, from: 2, to: 6, kind: 'stopped' }],
}

const decisions: Decisions = {
  title: 'Do you need storelock, and which store?',
  description: 'The same questions as in the text of this page, with the answer for each yes.',
  questions: [
    ['Only one tab, process|or thread ever|does this?', 'no lock:|async-mutex, or|a queue of promises'],
    ['Does one transaction or|unique index do it?', 'no lock: let the|database decide'],
    ['Tabs of one origin, and|nothing is written that a|late tab could spoil?', 'navigator.locks'],
    ['Is the data|in IndexedDB?', 'indexedDBStore(db)'],
    ['In an SQLite file, on|one machine?', 'sqliteStore(db)'],
    ['In Postgres, Redis|or etcd?', 'postgresStore,|redisStore, etcdStore'],
    ['Can all participants|reach one database?', 'a store in it, and|lock.token sent along'],
  ],
  otherwise: 'a lock server:|httpStore(url)',
}

/** Draws all pictures. @returns each with the name of its file */
export const drawAll = (): [name: string, picture: string][] => [
  ['parts.svg', drawParts()],
  ['lease.svg', drawTimeline(lease)],
  ['beacon.svg', drawTimeline(beacon)],
  ['channel.svg', drawTimeline(channel)],
  ['stale-write.svg', drawTimeline(staleUnfenced)],
  ['stale-write-fenced.svg', drawTimeline(staleFenced)],
  ['tokens.svg', drawTimeline(tokens)],
  ['decide.svg', drawDecisions(decisions)],
]
