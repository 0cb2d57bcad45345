import type { Command, Outcome } from '../src/protocol/index.ts'
import type { Step } from './moves.ts'
import { type Ask, carryOut, grantsOf, holdersOf, type Key, keys, pinsOf, queueOf, type Rules, type State } from './state.ts'

/** A hold or a place in a queue. */
interface Entry {
  readonly key: Key
  readonly session: string
  readonly number: number
  /** Of a hold. */
  readonly token?: number
}

/** Which law a step breaks, in words; `undefined` if none. */
export function broken(step: Step): string | undefined {
  for (const law of stepLaws) {
    const words = law(step)
    if (words) return words
  }
  return undefined
}

/** Which law a state breaks. */
export function brokenBy(state: State, rules: Rules): string | undefined {
  for (const key of keys) {
    const words =
      excludes(state, key) ?? tokensRise(state, key) ?? knowsItsOwn(state, key) ?? grantsWhatItCan(state, key) ?? goesOn(state, key, rules)
    if (words) return words
  }
  return undefined
}

const isOpen = (state: State, { session }: { session: string }): boolean => state.rows[session] !== undefined

// ---- in every state

function excludes(state: State, key: Key): string | undefined {
  const holders = holdersOf(state, key)
  return holders.length > 1 && holders.some(({ mode }) => mode === 'exclusive') ? `${key} has an exclusive holder beside another` : undefined
}

function tokensRise(state: State, key: Key): string | undefined {
  const token = state.records[key]?.token ?? state.floor
  if (token < state.highest[key]) return `${key} would give a token of ${token + 1} after one of ${state.highest[key]}`
  const tokens = holdersOf(state, key).map((holder) => holder.token)
  return tokens.some((held, place) => held > token || held <= (tokens[place - 1] ?? 0)) ? `the tokens of ${key} do not rise: ${tokens}` : undefined
}

/** A session that stands has no hold and no place but for what it asked and did not take back, and one for each. */
function knowsItsOwn(state: State, key: Key): string | undefined {
  const seen = new Set<string>()
  for (const entry of entriesOf(state, key)) {
    const name = nameOf(entry)
    if (seen.has(name)) return `${name} is there twice`
    seen.add(name)
    const seat = state.seats.find(({ id }) => id === entry.session)
    if (!isOpen(state, entry)) continue
    if (!seat?.asks.some((ask) => ask.key === key && ask.number === entry.number)) return `${name} is there, and nobody wants it`
  }
  return undefined
}

/** Nobody waits for what the record could give at once. What a session left that has ended is cleared away by the next command. */
function grantsWhatItCan(state: State, key: Key): string | undefined {
  const head = queueOf(state, key)[0]
  if (!head || !isOpen(state, head)) return undefined
  const free = holdersOf(state, key).every(({ mode }) => head.mode === 'shared' && mode === 'shared')
  return free ? `${head.session} waits for ${key}, though it could have it` : undefined
}

/** Whoever waits gets the lock in the end by what it can do alone, if all others stay silent from now on. */
function goesOn(state: State, key: Key, rules: Rules): string | undefined {
  for (const { session, from } of queueOf(state, key)) {
    if (!isOpen(state, { session }) || !state.seats.some(({ id, alive }) => alive && id === session)) continue
    let next = state
    // Each command below clears away one entry, and a grant that lapses comes back as an entry at the end.
    for (let left = 2 * entriesOf(state, key).length; ; left--) {
      if (holdersOf(next, key).some((holder) => holder.session === session && holder.number === from)) break
      const command = clearing(next, key, session)
      if (!command || left === 0) return `${session} waits for ${key}, and has no way to get it`
      next = carryOut(rules, next, command).state
    }
  }
  return undefined
}

/** What takes away the first that stands before a session in line. */
function clearing(state: State, key: Key, session: string): Command | undefined {
  const [entity] = pinsOf(state, key)
  if (entity !== undefined) return { type: 'unpin', key, entity }
  const [holder] = holdersOf(state, key)
  if (holder) {
    // Its own, from another request, it lets go itself.
    const { token } = holder
    if (holder.session === session) return { type: 'release', key, session, token }
    return { type: 'expire', key, session, evidence: { token, seq: holder.seq ?? state.rows[holder.session]?.seq } }
  }
  const [run] = queueOf(state, key)
  return run && { type: 'expire', key, session, evidence: { session: run.session, number: run.from, seq: state.rows[run.session]?.seq } }
}

// ---- in every step

const stepLaws: ((step: Step) => string | undefined)[] = [newTokens, inOrder, keepsEntries, keepsRows, meddlesInVain, whoBeatsKnows]

function newTokens({ move, before, outcome }: Step): string | undefined {
  if (!outcome || !move.command || !('key' in move.command)) return undefined
  let highest = before.highest[move.command.key as Key]
  for (const { token } of grantsOf(outcome)) {
    if (token <= highest) return `token ${token} was given after ${highest}`
    highest = token
  }
  return undefined
}

/** Who was in line before others gets the lock before them, and nobody is put in front. */
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

/** A hold or a place of a session that stands ends by what may end it, and by nothing else. */
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

/** A session's row goes by its own end, by proof of its death, or by evidence that stands; and comes by opening alone. */
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

/** A command on what is another's is refused and changes nothing, but for what ended sessions left. */
function meddlesInVain({ move, before, outcome, after }: Step): string | undefined {
  if (!move.meddles || !outcome) return undefined
  if (outcome.type !== 'refused') return `${move.who} was allowed to ${move.command?.type} what is another's`
  const clean = keys.every((key) => entriesOf(before, key).every((entry) => isOpen(before, entry)))
  return clean && after !== before ? `${move.who} changed something by a command on what is another's` : undefined
}

/** A session that was told that its beat or renewal counts has all the holds that it then still believes in. */
function whoBeatsKnows({ outcome, after }: Step): string | undefined {
  const told = toldTo(outcome)
  const seat = told === undefined ? undefined : after.seats.find(({ id }) => id === told)
  const has = ({ key, number, token }: Ask): boolean =>
    holdersOf(after, key).some((holder) => holder.session === told && holder.number === number && holder.token === token)
  const lost = seat?.asks.find((ask) => ask.token !== undefined && !has(ask))
  return lost ? `${told} was not told that it lost ${lost.key}` : undefined
}

const toldTo = (outcome: Outcome | undefined): string | undefined => (outcome?.type === 'beaten' ? outcome.session.id : undefined)

// ---- words

const nameOf = ({ key, session, number }: Entry): string => `request ${number} of ${session} for ${key}`

const waitersOf = (state: State, key: Key): Entry[] =>
  queueOf(state, key).flatMap(({ session, from, to }) =>
    Array.from({ length: to - from + 1 }, (_, index) => ({ key, session, number: from + index })),
  )

const entriesOf = (state: State, key: Key): Entry[] => [
  ...holdersOf(state, key).map(({ session, number, token }) => ({ key, session, number, token })),
  ...waitersOf(state, key),
]
