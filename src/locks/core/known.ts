import { contains, emptyView, type Holder, type LockView, limitOf, type Outcome, type Release, type Withdraw } from '../../protocol/index.ts'
import type { Grant, Granted } from './grant.ts'
import { over, type Request } from './request.ts'

/** A command's outcome, when it was sent, and by how much the wall clock was ahead of the monotonic one then, in ms. */
export interface Answer {
  readonly outcome: Outcome
  readonly sent: number
  readonly drift: number
}

/** A hint that a request was granted. */
export type Hinted = Pick<Granted, 'number' | 'token' | 'previous' | 'reserve'>

/** A grant that its session releases, or a request that it withdraws. */
export interface LetGo {
  readonly key: string
  readonly session: string
  /** The request's number. */
  readonly number: number
  /** The grant's token; `undefined` to withdraw the request, or its grant if it has one. */
  readonly token?: number | undefined
}

export const letGo = ({ key, session, number, token }: LetGo): Release | Withdraw =>
  token === undefined ? { type: 'withdraw', key, session, number } : { type: 'release', key, session, token }

/**
 * Whether a refused release shows that its request still stands. A grant that is not confirmed in time lapses: its request is then at the end of the
 * queue, or has been granted again.
 */
export const stillStands = (outcome: Outcome, { session, number, token }: LetGo): boolean =>
  outcome.type === 'refused' &&
  token !== undefined &&
  (outcome.record.queue.some((run) => contains(run, session, number)) ||
    outcome.record.holders.some((holder) => holder.session === session && holder.number === number))

/** What a key needs to know about its session. */
export interface Surroundings {
  /** The id of the current session. */
  readonly id: string
  /** Whether only sessions can send hints. */
  readonly trusted: boolean
  /** The short lease of a grant that another session's command makes, in ms. */
  readonly confirm: number
  /** In ms. */
  readonly duration: number
}

/** What one session knows of one key: its requests, its grants and the record as it was last seen. */
export class Known<R extends Request, G extends Grant> {
  readonly key: string
  /** The requests that wait, by number. */
  readonly requests = new Map<number, R>()
  /** The grants, each with the number of looks that had begun before the session knew of it. */
  readonly grants = new Map<G, number>()
  /** The record as it was last seen. */
  view: LockView
  /** How many looks have begun. */
  looks = 0
  /** When the last look was sent, in ms. */
  lookedAt = -Infinity
  /** When the last request was sent that was refused because the lock was not free, in ms. */
  refusedAt = 0
  /** Whether the context sleeps, like a page that was left: then it has nothing in the queue. */
  asleep = false
  /** The number of the latest request. */
  number: number
  protected readonly home: Surroundings

  /** @param number a number below those of all its requests */
  constructor(home: Surroundings, key: string, number: number) {
    this.home = home
    this.key = key
    this.number = number
    this.view = emptyView(key)
  }

  /** A look is sent. @returns its number */
  begin(sent: number): number {
    this.lookedAt = sent
    return ++this.looks
  }

  /** Whether a request still waits under this number: not after it was granted, given up, or sent again. */
  waits(request: R, number: number): boolean {
    return this.requests.get(number) === request
  }

  /** A request that has waited since before `time`, if this session has held the lock for as long; a lock with a limit, in all of its places. */
  stuckSince(time: number): R | undefined {
    let left = limitOf(this.view) ?? 1
    for (const { life, startedAt } of this.grants.keys()) {
      if (startedAt > time || life.is === 'lingering' || life.is === 'over' || --left) continue
      return [...this.requests.values()].find(({ since }) => since <= time)
    }
    return undefined
  }

  /** Whether this holder may be another session's lease that only lingers. */
  mayLinger({ session, reserve }: Holder): boolean {
    return reserve !== undefined && session !== this.home.id
  }

  /** Whether the grant of the request with this number still stands. */
  answers(number: number): boolean {
    for (const grant of this.grants.keys()) if (grant.number === number) return true
    return false
  }

  /** Gives a request the next number. */
  protected renumber(request: R): void {
    this.requests.delete(request.number)
    request.number = ++this.number
    this.requests.set(request.number, request)
  }

  /** A request no longer waits. */
  protected forget(request: R): void {
    this.requests.delete(request.number)
    request.life = over
  }
}
