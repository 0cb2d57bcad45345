import { byKey, type Final, type Grant, type History, type Operation, type Write } from './history.ts'
import { type Allowed, type Overlap, overlaps } from './overlap.ts'

/** How a store may have broken its promises. */
export type Kind =
  /** A write did not see the one before it, and so overwrote it. */
  | 'lost update'
  | 'token went down'
  | 'acknowledged but not written'
  | 'refused but written'
  | 'written twice'
  | 'written by nobody'
  | 'written without a grant'
  | 'written otherwise than asked'
  /** A write that ended before another began comes after it. */
  | 'out of order'
  | 'row is not the last write'
  | 'granted out of order'
  /** Two workers were told at the same time that they held the lock. */
  | 'held twice'
  /** A worker could not finish, because one of its calls never settled. */
  | 'unsettled'

export interface Violation {
  readonly kind: Kind
  readonly text: string
}

export interface Verdict {
  /** The number of updates that were overwritten without being seen, or that were acknowledged but are missing. */
  readonly lost: number
  /** How long two workers held one lock at the same time, in ms. */
  readonly overlap: Overlap
  readonly violations: readonly Violation[]
}

/** What may go wrong without a fence, and so in the control. Everything else is always a violation. */
export const unfencedKinds: readonly Kind[] = ['lost update', 'token went down']

/**
 * Checks that the notes of the workers and the contents of the store show a linearizable fenced mutex for each key: every write follows the one that
 * its writer saw, under a token that never goes down; acknowledged writes are there, refused ones are not, and ambiguous ones are there at most once.
 * And no two workers were told for longer than `allowed` that they hold the same lock.
 */
export function check({ operations, grants, holds }: History, { rows, log }: Final, allowed: Allowed): Verdict {
  const violations: Violation[] = []
  const report = (kind: Kind, text: string) => void violations.push({ kind, text })
  let lost = 0

  const granted = new Set(grants.map(({ key, token }) => `${token} ${key}`))
  const written = new Set<string>()
  for (const entry of log) {
    if (written.has(entry.id)) report('written twice', show(entry))
    written.add(entry.id)
    const operation = operations.get(entry.id)
    if (!operation) report('written by nobody', show(entry))
    else if (!same(operation.write, entry)) report('written otherwise than asked', `${show(entry)}, asked for was ${show(operation.write)}`)
    if (operation?.end === 'refused') report('refused but written', show(entry))
    if (!granted.has(`${entry.token} ${entry.key}`)) report('written without a grant', show(entry))
  }
  for (const { write, end } of operations.values()) {
    if (end !== 'acknowledged' || written.has(write.id)) continue
    lost += 1
    report('acknowledged but not written', show(write))
  }

  for (const [key, writes] of byKey(log)) {
    lost += checkChain(writes, report)
    checkTime(writes, operations, report)
    const row = rows.find((row) => row.key === key)
    const last = writes.at(-1)
    if (!row || !last || !same(row, last))
      report('row is not the last write', `${row ? show(row) : key}, the log ends with ${last ? show(last) : 'nothing'}`)
  }
  for (const row of rows) if (!log.some(({ key }) => key === row.key)) report('row is not the last write', `${show(row)}, and the log is empty`)
  for (const ofKey of byKey(grants).values()) checkGrants(ofKey, report)
  const overlap = overlaps(holds, allowed, (text) => report('held twice', text))
  return { lost, overlap, violations }
}

type Report = (kind: Kind, text: string) => void

/** @returns how many updates were lost */
export function checkChain(writes: readonly Write[], report: Report = () => {}): number {
  const places = new Map(writes.map(({ id }, place) => [id, place]))
  let lost = 0
  for (const [place, write] of writes.entries()) {
    const before = writes[place - 1]
    if (write.token < (before?.token ?? 0)) report('token went down', `${show(write)} after ${before && show(before)}`)
    if (write.saw === (before?.id ?? '')) {
      if (write.value !== (before?.value ?? 0) + 1) report('written otherwise than asked', `${show(write)} after ${before && show(before)}`)
      continue
    }
    const seen = write.saw === '' ? -1 : (places.get(write.saw) ?? place - 2)
    lost += Math.max(1, place - 1 - seen)
    report('lost update', `${show(write)} after ${before ? show(before) : 'nothing'}`)
  }
  return lost
}

function checkTime(writes: readonly Write[], operations: History['operations'], report: Report): void {
  let latest: Operation | undefined
  for (const write of writes) {
    const operation = operations.get(write.id)
    if (!operation) continue
    if (latest && operation.endedAt < latest.invokedAt)
      report('out of order', `${show(write)} ended before ${show(latest.write)} began, and comes after it`)
    if (!latest || operation.invokedAt > latest.invokedAt) latest = operation
  }
}

/** Every grant has a token of its own, higher than those of all grants known when it was requested. */
function checkGrants(grants: readonly Grant[], report: Report): void {
  const granted = grants.toSorted((a, b) => a.at - b.at)
  let there = 0
  let highest = 0
  for (const grant of grants.toSorted((a, b) => a.askedAt - b.askedAt)) {
    for (; (granted[there]?.at ?? Number.POSITIVE_INFINITY) < grant.askedAt; there++) highest = Math.max(highest, granted[there]?.token ?? 0)
    if (grant.token <= highest) report('granted out of order', `${grant.key} with token ${grant.token}, asked for when ${highest} had been granted`)
  }
  const tokens = new Set<number>()
  for (const { key, token } of grants) {
    if (tokens.has(token)) report('granted out of order', `${key} twice with token ${token}`)
    tokens.add(token)
  }
}

const same = (one: Write, other: Write): boolean =>
  one.id === other.id && one.key === other.key && one.token === other.token && one.saw === other.saw && one.value === other.value

const show = ({ id, key, token, saw, value }: Write): string => `${key} = ${value} by ${id} with token ${token}, having seen ${saw || 'nothing'}`
