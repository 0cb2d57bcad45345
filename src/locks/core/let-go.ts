import { contains, type Outcome, type Release, type Withdraw } from '../../protocol/index.ts'

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
