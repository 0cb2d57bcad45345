import { createHash, randomBytes } from 'node:crypto'
import { contradictionOf, requestsIn } from '../protocol/index.ts'
import type { Caller } from './access.ts'
import { type Fault, faultOf, faultOfFailed } from './answers.ts'
import { type Bell, makeBell } from './bell.ts'
import type { Desk } from './desk.ts'
import { type Journal, nextTurn } from './journal.ts'
import type { Owners } from './owners.ts'
import type { Sender } from './senders.ts'
import type { Switchboard } from './switchboard.ts'
import { type AcquireBody, type AcquireReply, clientHeader, type WireCommand, type WireOutcome } from './wire.ts'

/** How long a grant waits for a client that is between two requests, in ms. */
const confirm = 5_000
/** The longest pause between two beats that the server sends for a client that waits on an open connection, in ms. */
const longestPause = 10_000
/** How many turns of the event loop it takes to notice that a connection is gone. */
const turnsOfClose = 2
/** The request's number: it is the only one of its session. */
const number = 1

/** The prefix of the ids of sessions that are opened for one lock and end with it. */
export const singlePrefix = 'acquire-'

/** One request that waits on one connection. */
interface Wait {
  readonly id: string
  readonly caller: Caller
  readonly beat: Extract<WireCommand, { type: 'beat' }>
  readonly request: Extract<WireCommand, { type: 'request' }>
  readonly sender: Sender
  readonly bell: Bell
  /** Set when its client has disconnected, has come back on another connection, or has lost its rights. */
  over: 'gone' | 'replaced' | 'fallen' | undefined
  /** The `seq` of its session after the last beat that the server sent for it. */
  seq: number | undefined
}

/** The outcome of a request, with the lockToken of a grant. */
interface Asked {
  readonly outcome: WireOutcome
  readonly lockToken?: string | undefined
}

/**
 * Waits for locks on behalf of clients that use plain HTTP requests. Each request gets a session of its own, for which the server sends the same
 * commands that other clients send.
 */
export class Acquires {
  readonly #desk: Desk
  readonly #owners: Owners
  readonly #switchboard: Switchboard
  readonly #journal: Pick<Journal, 'attend' | 'attendedBy'>
  readonly #failed: (error: unknown) => void
  readonly #waits = new Map<string, Wait>()
  #closed = false

  /** @param failed called with errors that no answer reports */
  constructor(
    desk: Desk,
    owners: Owners,
    switchboard: Switchboard,
    journal: Pick<Journal, 'attend' | 'attendedBy'>,
    failed: (error: unknown) => void,
  ) {
    this.#journal = journal
    this.#desk = desk
    this.#owners = owners
    this.#switchboard = switchboard
    this.#failed = failed
  }

  /**
   * Requests a lock and waits for it, for as long as the client wants and stays connected.
   * @param onCut registers a function that is called if the connection breaks before the answer has been sent
   */
  async acquire(caller: Caller, body: AcquireBody, onCut: (listener: () => void) => void): Promise<AcquireReply | Fault> {
    if (!caller.owner)
      return faultOf(400, 'invalid', `a lock needs an owner: send a secret of your own, such as \`openssl rand -hex 16\` makes, as ${clientHeader}`)
    const { key, request: name = randomBytes(16).toString('base64url') } = body
    const session = sessionOf(caller, key, name)
    const opens = (await this.#owners.of(session)) === undefined
    const bell = makeBell()
    const ear = this.#switchboard.listen(caller, session, bell.ring)
    if ('status' in ear) return ear
    const id = randomBytes(9).toString('base64url')
    const wait: Wait = { id, caller, ...commandsOf(session, body, opens), sender: ear.sender, bell, over: undefined, seq: undefined }
    this.#replace(session, wait)
    onCut(() => this.#hangUp(session, wait))
    try {
      if (!opens) await this.#journal.attend?.(session, id)
      return await this.#answer(wait, name, await this.#outwait(wait, body.wait))
    } catch (error) {
      // A client that named its request may send it again, so that one stays.
      if (body.request === undefined) this.#takeBack(wait).catch(this.#failed)
      throw error
    } finally {
      ear.stop()
      if (this.#waits.get(session) === wait) this.#waits.delete(session)
    }
  }

  /** Answers all waiting requests; their clients can send them again. */
  close(): void {
    this.#closed = true
    for (const { bell } of this.#waits.values()) bell.ring()
  }

  /** Repeats the request while it is queued, for at most `patience` ms. */
  async #outwait(wait: Wait, patience = 30_000): Promise<Asked> {
    const until = performance.now() + patience
    let asked = await this.#ask(wait)
    for (;;) {
      const left = until - performance.now()
      if (asked.outcome.type !== 'queued' || wait.over || this.#closed || left <= 0) return asked
      await wait.bell.wait(Math.min(left, wait.beat.lease / 4, longestPause))
      if (!wait.caller.stands()) wait.over = 'fallen'
      if (!wait.over) asked = await this.#ask(wait)
    }
  }

  /** Sends the request, for the first time or again, and a beat for the client. Confirms a grant that was made in the meantime. */
  async #ask(wait: Wait): Promise<Asked> {
    const { caller, beat, request, sender } = wait
    const { outcomes, lockTokens } = await this.#desk.apply(caller, [beat, request], sender)
    const [beaten, outcome] = outcomes as [WireOutcome, WireOutcome]
    if (beaten.type !== 'beaten') return { outcome: beaten }
    wait.seq = beaten.session.seq
    if (outcome.type !== 'granted') return { outcome }
    const { key, session } = request
    const { token } = outcome.holder
    const lockToken = lockTokens.find((ticket) => ticket.token === token)?.lockToken
    if (!outcome.repeated) return { outcome, lockToken }
    const renewal: WireCommand = { type: 'renew', key, session, token, lockToken }
    const [renewed, again] = (await this.#desk.apply(caller, [renewal, beat], sender)).outcomes as [WireOutcome, WireOutcome]
    if (again.type === 'beaten') wait.seq = again.session.seq
    if (renewed.type === 'renewed') return { outcome, lockToken }
    // The grant has just lapsed, and the request is at the back of the queue.
    return renewed.type === 'refused' && renewed.reason === 'not-held' ? await this.#ask(wait) : { outcome: renewed }
  }

  async #answer(wait: Wait, name: string, { outcome, lockToken }: Asked): Promise<AcquireReply | Fault> {
    const { key, session, ifAvailable } = wait.request
    // Check the connection first: a client that is gone cannot be told of its lock, so it must not keep it.
    for (let turn = 0; turn < turnsOfClose; turn++) await nextTurn()
    if (wait.over === 'replaced') return faultOf(409, 'over', 'the client has come back by another connection')
    if (outcome.type === 'ended') {
      return faultOf(409, 'over', 'this request is over: its lock was released, or its client disconnected or was away for too long. Make a new one')
    }
    if (!wait.over && outcome.type === 'granted') {
      const { token, previous } = outcome.holder
      return { granted: true, key, request: name, token, previous, lockToken: lockToken as string, duration: (wait.beat.lease * 3) / 4 }
    }
    if (!wait.over && outcome.type === 'queued') return { granted: false, key, request: name, ahead: aheadOf(session, outcome.record) }
    await this.#takeBack(wait)
    if (wait.over === 'fallen') return faultOf(401, 'unauthorized', 'the credential is no longer valid')
    // The client is gone and cannot read this answer.
    if (wait.over) return faultOf(409, 'over', 'the client has disconnected')
    if (outcome.type === 'failed') return faultOfFailed(outcome)
    if (outcome.type === 'refused' && outcome.reason === 'limit')
      return faultOf(409, 'invalid', contradictionOf(key, wait.request.limit, outcome.record).message)
    return ifAvailable
      ? faultOf(409, 'held', `${JSON.stringify(key)} is held, or others wait for it`)
      : faultOf(409, 'not-owner', 'the request was refused')
  }

  /** A client that comes back on another connection is answered there. */
  #replace(session: string, wait: Wait): void {
    const before = this.#waits.get(session)
    this.#waits.set(session, wait)
    if (!before) return
    before.over = 'replaced'
    before.bell.ring()
  }

  #hangUp(session: string, wait: Wait): void {
    const now = this.#waits.get(session)
    if (wait.over || (now && now !== wait)) return
    wait.over = 'gone'
    if (now) wait.bell.ring()
    // The answer was just sent, but did not arrive.
    else this.#takeBack(wait).catch(this.#failed)
  }

  /** Gives up the place in the queue, or the lock if it was granted in the meantime. */
  async #takeBack(wait: Wait): Promise<void> {
    const { caller, request, sender, seq } = wait
    const { key, session } = request
    if (this.#journal.attendedBy && seq !== undefined) {
      const last = await this.#journal.attendedBy(session)
      if (last !== undefined && last !== wait.id) return
      // The client may be coming back to another server right now: end the session only if nothing has beaten since.
      return await this.#desk.endUnseen(session, seq, key)
    }
    // The request is repeated so that it can be withdrawn in the same batch, whatever has become of it.
    await this.#desk.apply(caller, [request, { type: 'withdraw', key, session, number }, { type: 'end', session }], sender)
  }
}

/** The session of a client's request. No other client can have it or guess it. */
const sessionOf = ({ owner }: Caller, key: string, name: string): string =>
  singlePrefix +
  createHash('sha256')
    .update(JSON.stringify([owner, key, name]))
    .digest('base64url')

function commandsOf(
  session: string,
  { key, mode = 'exclusive', limit = 1, duration = 30_000, wait, label, metadata }: AcquireBody,
  opens: boolean,
): Pick<Wait, 'beat' | 'request'> {
  return {
    beat: { type: 'beat', session, client: session, lease: (duration * 4) / 3, label, opens },
    request: {
      ...{ type: 'request', key, session, client: session, number, mode, limit: limit > 1 ? limit : undefined },
      ...{ confirm, metadata, ifAvailable: wait === 0 || undefined },
    },
  }
}

/** How many holders and waiters are ahead of a session. */
function aheadOf(session: string, { holders, queue }: Extract<WireOutcome, { type: 'queued' }>['record']): number {
  const place = queue.findIndex((run) => run.session === session)
  return holders.length + requestsIn(queue.slice(0, Math.max(0, place)))
}
