import type { Locks } from '../index.ts'
import { nameOf } from '../inspector/changes.ts'
import { expiryOf, type Json, type LockView, leaseOf, type Mode, storedName } from '../protocol/index.ts'
import { inWords } from './output.ts'

export { nameOf } from '../inspector/changes.ts'

/** A lock as the commands show it, in a table or as JSON. Times are wall times in ms since 1970. */
export interface LockState {
  /** Its key, in the form that the commands take. */
  readonly key: string
  readonly name: string
  readonly namespace: string
  /** The last token given out. */
  readonly token: number
  readonly holders: readonly HolderState[]
  readonly queue: readonly WaiterState[]
  readonly pins: readonly string[]
}

interface Party {
  readonly session: string
  readonly label: string | null
  readonly mode: Mode
  /** How many may hold the lock together; `null` if it has no limit. */
  readonly limit: number | null
  readonly metadata: Json
}

export interface HolderState extends Party {
  readonly token: number
  /** When it was granted; `null` if storelock 0.1 granted it, which did not store the time. */
  readonly since: number | null
  /** When it was granted, or last renewed by a beat or otherwise. */
  readonly renewed: number
  /** When it ends unless it is renewed. */
  readonly expires: number
  /** Whether it has not been renewed for its whole lease, by the wall clock, which proves nothing. */
  readonly overdue: boolean
}

export interface WaiterState extends Party {
  /** Its ask, for the holders. */
  readonly ask: Json
  /** The number of consecutive requests that are alike. */
  readonly count: number
}

/** The contents of a record. A session that has ended is left out, even if the record still names it. */
export function stateOf(view: LockView, now = Date.now()): LockState {
  const { key, token, sessions, pins } = view
  const label = (session: string): string | null => sessions.get(session)?.label ?? null
  const present = ({ session }: { readonly session: string }): boolean => sessions.has(session)
  return {
    key,
    ...storedName(key),
    token,
    holders: view.holders.filter(present).map((holder) => {
      const { session, mode, limit = null, token, since = null, metadata = null } = holder
      const expires = expiryOf(holder, sessions)
      const renewed = expires - leaseOf(holder, sessions)
      return { session, label: label(session), mode, limit, metadata, token, since, renewed, expires, overdue: expires < now }
    }),
    queue: view.queue.filter(present).map(({ session, mode, limit = null, metadata = null, ask = null, from, to }) => {
      return { session, label: label(session), mode, limit, metadata, ask, count: to - from + 1 }
    }),
    pins,
  }
}

export const isIdle = ({ holders, queue, pins }: LockState): boolean => !holders.length && !queue.length && !pins.length

export const waiting = ({ queue }: LockState): number => queue.reduce((sum, { count }) => sum + count, 0)

/** The holders of a lock, and for how long they have held it, for people. */
export const holdersOf = (held: Awaited<ReturnType<Locks['query']>>['held']): string =>
  held.map((holder) => `${nameOf(holder)}, for ${heldFor(holder.since, Date.now())}`).join('; ')

/** The mode or the limit of a hold or a request, for people. */
export const kindOf = ({ mode, limit }: Pick<Party, 'mode' | 'limit'>): string => (limit === null ? mode : `one of ${limit}`)

/** How long a lock has been held, for people. */
export const heldFor = (since: number | null | undefined, now: number): string => (since == null ? '?' : inWords(Math.max(0, now - since)))

export const head = ['KEY', 'HOLDER', 'MODE', 'HELD FOR', 'EXPIRES IN', 'WAITING', 'PINNED BY']

/** A lock as rows of a table: one for each holder. */
export function rowsOf(state: LockState, now = Date.now()): string[][] {
  const { key, holders, pins } = state
  const rest = [`${waiting(state)}`, pins.join(', ')]
  if (!holders.length) return [[key, '', '', '', '', ...rest]]
  return holders.map((holder, index) => {
    const { since, expires, overdue } = holder
    const left = overdue ? 'overdue' : inWords(expires - now)
    return [index ? '' : key, nameOf(holder), kindOf(holder), heldFor(since, now), left, ...(index ? ['', ''] : rest)]
  })
}
