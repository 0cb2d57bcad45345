import type { Holder, Run } from '../../src/protocol/index.ts'
import { stands } from './notes.ts'
import { holdersOf, isIn, type Key, keys, type Note, queueOf, type Seat, type State } from './state.ts'

/**
 * A text that two states share exactly if they differ only in names and numbers.
 *
 * Tokens and counters are only compared for equality, and new ones are above all old ones (a law checks that). So a token is described by the place
 * of its hold in the record, and a counter by whether it is still current. Each place in a record belongs to one session; so two sessions that look
 * alike have no place at all, and may be swapped.
 */
export function canonical(state: State): string {
  const [one, other] = keys.map((key) => `${looksOf(state, key)}`)
  // The names of the keys do not matter either. Usually the two records look different, which decides their order.
  if (one !== other) return inOrder(state, (one ?? '') < (other ?? '') ? keys : reversed)
  const [first, second] = [inOrder(state, keys), inOrder(state, reversed)]
  return first < second ? first : second
}

const reversed = [...keys].reverse()

/** A record without the owners of its places. */
function looksOf(state: State, key: Key): string {
  const record = state.records[key]
  return record ? `${record.pins.length}${record.holders.map(holderOf)}/${record.queue.map(runOf)}` : '-'
}

const holderOf = ({ mode, limit, lease, seq, unconfirmed }: Holder): string =>
  `${mode[0]}${limit ?? ''}${lease === undefined ? '' : 'L'}${seq === undefined ? '' : 'O'}${unconfirmed ? unconfirmed.lapses : ''}`

const runOf = ({ mode, limit, lapses, from, to }: Run): string => `${mode[0]}${limit ?? ''}/${lapses}.${to - from}`

/** Places that no session owns belong to earlier sessions of a seat. */
function inOrder(state: State, order: readonly Key[]): string {
  const { seats, note } = state
  const about = note && seats.findIndex(({ id }) => id === note.session)
  const noted = note ? noteOf(state, note, order) : ''
  const looks = seats.map((seat, index) => seatOf(state, seat, order) + (index === about ? noted : ''))
  return `${order.map((key) => looksOf(state, key)).join('|')}${about === -1 ? noted : ''}|${looks.sort().join('|')}`
}

function seatOf(state: State, seat: Seat, order: readonly Key[]): string {
  const row = state.rows[seat.id]
  let text = seat.alive ? (row ? (row.evictions === seat.evictions ? '=' : '!') : '0') : row ? 'd' : 'D'
  for (const key of order) {
    text += '/'
    for (const [place, { session }] of holdersOf(state, key).entries()) if (session === seat.id) text += `h${place}`
    for (const [place, { session }] of queueOf(state, key).entries()) if (session === seat.id) text += `q${place}`
    // The knowledge of a dead session does not matter.
    if (seat.alive) text += asksOf(state, key, seat)
  }
  return text
}

/** A session's requests: where the record has each, what the session knows, and whether the next number follows it. */
function asksOf(state: State, key: Key, { id, numbers, asks }: Seat): string {
  let text = ''
  let next = numbers[key] + 1
  for (const ask of asks.filter((ask) => ask.key === key).reverse()) {
    const token = holdersOf(state, key).find(({ session, number }) => session === id && number === ask.number)?.token
    const known = ask.token === undefined ? '?' : ask.token === token ? '=' : 'x'
    text += `a${placeOf(state, key, id, ask.number) || ask.mode + (ask.limit ?? '')}${known}${next === ask.number + 1 ? '' : '.'}`
    next = ask.number
  }
  return text
}

/** Where a record has a request, if it does. */
function placeOf(state: State, key: Key, id: string, asked: number): string {
  for (const [place, { session, number }] of holdersOf(state, key).entries()) if (session === id && number === asked) return `h${place}`
  for (const [place, run] of queueOf(state, key).entries()) if (isIn(run, id, asked)) return `q${place}.${asked - run.from}`
  return ''
}

function noteOf(state: State, note: Note, order: readonly Key[]): string {
  const { key, session, evidence, heard, stale } = note
  const asks = state.seats.find(({ id }) => id === session)?.asks ?? []
  const about =
    'number' in evidence
      ? `w${placeOf(state, key, session, evidence.number) || asks.findIndex((ask) => ask.key === key && ask.number === evidence.number)}`
      : `h${holdersOf(state, key).findIndex(({ token }) => token === evidence.token)}`
  return `!${order.indexOf(key)}${about}${stands(state, note) ? '=' : ''}${heard ? 'H' : ''}${stale ? 'S' : ''}`
}
