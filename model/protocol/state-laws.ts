import type { Command, Holder } from '../../src/protocol/index.ts'
import { entriesOf, isOpen, nameOf } from './entries.ts'
import { carryOut, holdersOf, type Key, keys, pinsOf, queueOf, type Rules, type State } from './state.ts'

/** The law that a state breaks, if any. */
export function brokenBy(state: State, rules: Rules): string | undefined {
  for (const key of keys) {
    const words =
      excludes(state, key) ?? tokensRise(state, key) ?? knowsItsOwn(state, key) ?? grantsWhatItCan(state, key) ?? goesOn(state, key, rules)
    if (words) return words
  }
  return undefined
}

function excludes(state: State, key: Key): string | undefined {
  const holders = holdersOf(state, key)
  const most = Math.min(...holders.map((holder) => (holder.mode === 'shared' ? Infinity : (limitOf(state, key, holder) ?? 1))))
  if (holders.length > most) return `${key} has an exclusive holder beside ${holders.length - 1} others, where ${most} may hold it`
  const limits = new Set(
    [...holders, ...queueOf(state, key).map(({ from, ...run }) => ({ ...run, number: from }))].map((each) => limitOf(state, key, each)),
  )
  return limits.size > 1 ? `${key} is held or waited for with limits of ${[...limits].join(' and ')}` : undefined
}

/** The limit that a request was made with, as its session remembers, if that has not ended. */
const limitOf = ({ seats }: State, key: Key, { session, number, limit }: Pick<Holder, 'session' | 'number' | 'limit'>): number | undefined => {
  const ask = seats.find(({ id }) => id === session)?.asks.find((each) => each.key === key && each.number === number)
  return ask ? ask.limit : limit
}

function tokensRise(state: State, key: Key): string | undefined {
  const token = state.records[key]?.token ?? state.floor
  if (token < state.highest[key]) return `${key} would give a token of ${token + 1} after one of ${state.highest[key]}`
  const tokens = holdersOf(state, key).map((holder) => holder.token)
  return tokens.some((held, place) => held > token || held <= (tokens[place - 1] ?? 0)) ? `the tokens of ${key} do not rise: ${tokens}` : undefined
}

/** An existing session has holds and places only for requests that it made and did not withdraw, one for each. */
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

/** No request waits for a lock that could be granted at once. The next command removes what an ended session left. */
function grantsWhatItCan(state: State, key: Key): string | undefined {
  const head = queueOf(state, key)[0]
  if (!head || !isOpen(state, head)) return undefined
  const holders = holdersOf(state, key)
  const free = head.mode === 'shared' ? holders.every(({ mode }) => mode === 'shared') : holders.length < (head.limit ?? 1)
  return free ? `${head.session} waits for ${key}, though it could have it` : undefined
}

/** Every waiter can get the lock by its own commands, if all other sessions stay silent from now on. */
function goesOn(state: State, key: Key, rules: Rules): string | undefined {
  for (const { session, from } of queueOf(state, key)) {
    if (!isOpen(state, { session }) || !state.seats.some(({ id, alive }) => alive && id === session)) continue
    let next = state
    // Each command below removes one entry, and a grant that lapses returns once to the end of the queue.
    for (let left = 2 * entriesOf(state, key).length; ; left--) {
      if (holdersOf(next, key).some((holder) => holder.session === session && holder.number === from)) break
      const command = clearing(next, key, session)
      if (!command || left === 0) return `${session} waits for ${key}, and has no way to get it`
      next = carryOut(rules, next, command).state
    }
  }
  return undefined
}

/** The command that removes the first entry before a session in the queue. */
function clearing(state: State, key: Key, session: string): Command | undefined {
  const [entity] = pinsOf(state, key)
  if (entity !== undefined) return { type: 'unpin', key, entity }
  const [holder] = holdersOf(state, key)
  if (holder) {
    // If the holder is the waiting session, by another request, it releases that hold itself.
    const { token } = holder
    if (holder.session === session) return { type: 'release', key, session, token }
    return { type: 'expire', key, session, evidence: { token, seq: holder.seq ?? state.rows[holder.session]?.seq } }
  }
  const [run] = queueOf(state, key)
  return run && { type: 'expire', key, session, evidence: { session: run.session, number: run.from, seq: state.rows[run.session]?.seq } }
}
