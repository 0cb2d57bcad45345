import type { Outcome } from '../../src/protocol/index.ts'
import { entriesOf, isOpen, nameOf, waitersOf } from './entries.ts'
import type { Step } from './moves.ts'
import { type Ask, grantsOf, holdersOf, type Key, keys, pinsOf } from './state.ts'

/** Describes the law that a step breaks, if any. */
export function broken(step: Step): string | undefined {
  for (const law of stepLaws) {
    const words = law(step)
    if (words) return words
  }
  return undefined
}

const stepLaws: ((step: Step) => string | undefined)[] = [newTokens, inOrder, keepsEntries, keepsRows, meddlesInVain, whoBeatsKnows, waitsFirst]

function newTokens({ move, before, outcome }: Step): string | undefined {
  if (!outcome || !move.command || !('key' in move.command)) return undefined
  let highest = before.highest[move.command.key as Key]
  for (const { token } of grantsOf(outcome)) {
    if (token <= highest) return `token ${token} was given after ${highest}`
    highest = token
  }
  return undefined
}

/** A waiter gets the lock before the waiters behind it, and no request jumps the queue. */
function inOrder({ move, before, outcome, after }: Step): string | undefined {
  const { command } = move
  if (!outcome || !command || !('key' in command)) return undefined
  const key = command.key as Key
  const line = waitersOf(before, key).filter((entry) => isOpen(after, entry))
  const left = waitersOf(after, key).filter((entry) => isOpen(after, entry))
  const rank = (name: string): number => (line.findIndex((entry) => nameOf(entry) === name) + line.length + 1) % (line.length + 1)
  const stolen = command.type === 'request' && command.steal
  const order = [...(stolen ? [] : grantsOf(outcome)), ...left].map((entry) => rank(nameOf({ ...entry, key })))
  return order.some((place, index) => place < (order[index - 1] ?? 0)) ? `the queue of ${key} was not kept to` : undefined
}

/** A request with `ifNoQueue` waits only as the first. */
function waitsFirst({ move, outcome, after }: Step): string | undefined {
  const { command } = move
  if (command?.type !== 'request' || !command.ifNoQueue || outcome?.type !== 'queued') return undefined
  return waitersOf(after, command.key as Key).length > 1 ? `${command.session} waits behind others for ${command.key}` : undefined
}

/** A hold or place of an existing session ends only by a command that may end it. */
function keepsEntries({ move, before, after }: Step): string | undefined {
  const { command, note } = move
  if (!command) return undefined
  for (const key of keys) {
    if (before.records[key] === after.records[key]) continue
    const held = holdersOf(after, key)
    for (const { session, number, token } of holdersOf(before, key)) {
      if (!isOpen(before, { session }) || held.some((holder) => holder.session === session && holder.number === number && holder.token === token))
        continue
      if (!('key' in command) || command.key !== key) return `the hold of ${session} on ${key} ended by a command on something else`
      const ended =
        (command.type === 'release' && command.session === session && command.token === token) ||
        (command.type === 'withdraw' && command.session === session && command.number === number) ||
        (command.type === 'request' && command.steal) ||
        (command.type === 'revoke' && (command.session ?? session) === session)
      if (ended) continue
      if (command.type !== 'expire') return `the hold of ${session} on ${key} was ended by ${command.type}`
      if (pinsOf(before, key).length) return `the hold of ${session} on ${key} was evicted though it was pinned`
      if (note?.stale) return `the hold of ${session} on ${key} was evicted on old evidence`
      if (!('token' in command.evidence) || command.evidence.token !== token)
        return `the hold of ${session} on ${key} was evicted on another's evidence`
    }
    const there = new Set(entriesOf(after, key).map(nameOf))
    for (const entry of waitersOf(before, key)) {
      const { session, number } = entry
      if (!isOpen(before, entry) || there.has(nameOf(entry))) continue
      if (command.type === 'withdraw' && command.session === session && command.number === number) continue
      if (command.type !== 'expire' || !('number' in command.evidence)) return `${session}'s place for ${key} was ended by ${command.type}`
      if (note?.stale) return `${session} lost its place for ${key} on old evidence`
      if (command.evidence.session !== session) return `${session} lost its place for ${key} on another's evidence`
    }
  }
  return undefined
}

/** A session's row is removed only by its own end, a proof of its death, or valid evidence. It is created only by opening the session. */
function keepsRows({ move: { command, who, note }, before, after }: Step): string | undefined {
  if (before.rows === after.rows) return undefined
  for (const id of Object.keys(before.rows)) {
    if (after.rows[id]) continue
    if (command?.type !== 'end' || command.session !== id) return `the session ${id} was ended by ${command?.type}`
    if (who !== id && note?.heard) return `the session ${id} was ended on old evidence`
  }
  for (const id of Object.keys(after.rows))
    if (!before.rows[id] && !(command?.type === 'beat' && command.opens)) return `the session ${id} came back by ${command?.type}`
  return undefined
}

/** A command on another session's hold or place is refused and changes nothing, except what ended sessions left. */
function meddlesInVain({ move, before, outcome, after }: Step): string | undefined {
  if (!move.meddles || !outcome) return undefined
  if (outcome.type !== 'refused') return `${move.who} was allowed to ${move.command?.type} what is another's`
  const clean = keys.every((key) => entriesOf(before, key).every((entry) => isOpen(before, entry)))
  return clean && after !== before ? `${move.who} changed something by a command on what is another's` : undefined
}

/** A session whose beat or renewal was accepted has all the holds that it then believes in. */
function whoBeatsKnows({ outcome, after }: Step): string | undefined {
  const told = toldTo(outcome)
  const seat = told === undefined ? undefined : after.seats.find(({ id }) => id === told)
  const has = ({ key, number, token }: Ask): boolean =>
    holdersOf(after, key).some((holder) => holder.session === told && holder.number === number && holder.token === token)
  const lost = seat?.asks.find((ask) => ask.token !== undefined && !has(ask))
  return lost ? `${told} was not told that it lost ${lost.key}` : undefined
}

const toldTo = (outcome: Outcome | undefined): string | undefined => (outcome?.type === 'beaten' ? outcome.session.id : undefined)
