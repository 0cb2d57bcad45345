import { type Command, type Holder, type Outcome, type Sessions, seqOf } from '../../src/protocol/index.ts'
import { holdersOf, isIn, type Key, type Note, queueOf, type State } from './state.ts'

const rowsOf = ({ rows }: State): Sessions => new Map(Object.entries(rows))

/** All evidence that a record gives now. */
export function* notesOf(state: State, key: Key): Generator<Note> {
  const fresh = { key, heard: false, stale: false }
  for (const holder of holdersOf(state, key)) {
    const { session, token } = holder
    yield { ...fresh, session, evidence: { token, seq: seqOf(holder, rowsOf(state)) } }
  }
  for (const { session, from } of queueOf(state, key)) yield { ...fresh, session, evidence: { session, number: from, seq: state.rows[session]?.seq } }
}

/**
 * How a command changes the note. This depends on what happened, never on tokens and counters: the model checks that the rules come to the
 * same result by those.
 */
export function age(before: State, after: State, command: Command, outcome: Outcome): State {
  const { note } = after
  if (!note) return after
  // If the hold and its counter are gone, nothing is left that the note could be confused with.
  if (!isThere(after, note) && !stands(after, note)) return { ...after, note: undefined }
  const heard = note.heard || lives(before, note, command, outcome)
  const stale = note.stale || (heard && leans(before, note)) || renews(note, command, outcome) || isOver(after, note, command)
  return heard === note.heard && stale === note.stale ? after : { ...after, note: { ...note, heard, stale } }
}

/** Whether the noted counter is still that of the hold or the session. */
export function stands(state: State, { key, session, evidence }: Note): boolean {
  const holder = 'token' in evidence ? holdersOf(state, key).find(({ token }) => token === evidence.token) : undefined
  return (holder ? seqOf(holder, rowsOf(state)) : state.rows[session]?.seq) === evidence.seq
}

/** Whether the record still has what was noted. */
const isThere = (state: State, { key, session, evidence }: Note): boolean =>
  'number' in evidence
    ? queueOf(state, key).some((run) => isIn(run, session, evidence.number))
    : holdersOf(state, key).some(({ token }) => token === evidence.token)

/** Whether the session of a note has shown that it lives. */
const lives = (before: State, { session }: Note, command: Command, outcome: Outcome): boolean =>
  (outcome.type === 'beaten' && outcome.session.id === session) ||
  (outcome.type === 'renewed' &&
    outcome.holder.session === session &&
    outcome.holder.seq === undefined &&
    renewed(before, command)?.seq === undefined)

const renewed = (before: State, command: Command): Holder | undefined =>
  command.type === 'renew' ? holdersOf(before, command.key as Key).find(({ token }) => token === command.token) : undefined

/** Whether the noted hold or request leans on its session's counter, and has no counter of its own. */
const leans = (before: State, { key, evidence }: Note): boolean =>
  'number' in evidence || holdersOf(before, key).find(({ token }) => token === evidence.token)?.seq === undefined

const renews = ({ key, evidence }: Note, command: Command, outcome: Outcome): boolean =>
  'token' in evidence && outcome.type === 'renewed' && command.type === 'renew' && command.key === key && outcome.holder.token === evidence.token

/** A hold that is gone never comes back. A waiter may come back from a grant that lapsed, as silent as before. */
const isOver = (after: State, note: Note, command: Command): boolean =>
  'token' in note.evidence
    ? !isThere(after, note)
    : command.type === 'withdraw' && command.key === note.key && command.session === note.session && command.number === note.evidence.number
