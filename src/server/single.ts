import type { Store } from '../store.ts'
import type { Caller } from './access.ts'
import { singlePrefix } from './acquire.ts'
import { type Fault, faultOf, faultOfFailed } from './answers.ts'
import type { Desk } from './desk.ts'
import type { ReleaseBody, ReleaseReply, RenewBody, RenewReply, WireCommand, WireOutcome } from './wire.ts'

/** Renews and releases one lock by its lockToken, for clients that use plain HTTP requests. */
export class Single {
  readonly #desk: Desk
  readonly #store: Store

  constructor(desk: Desk, store: Store) {
    this.#desk = desk
    this.#store = store
  }

  /** Sends a beat for the client, and renews the lock. */
  async renew(caller: Caller, { key, lockToken, duration }: RenewBody): Promise<RenewReply | Fault> {
    const hold = await this.#find(caller, key, lockToken)
    if ('status' in hold) return hold
    const { session, client, label, token } = hold
    const row = (await this.#store.read(key))?.sessions.get(session)
    if (!row) return lost(key)
    // The session's own lease: a beat never makes it shorter.
    const beat: WireCommand = { type: 'beat', session, client, label, lease: row.lease }
    const lease = duration === undefined ? undefined : (duration * 4) / 3
    const { outcomes } = await this.#desk.apply(caller, [beat, { type: 'renew', key, session, token, lockToken, lease }], undefined)
    const outcome = outcomes[1] as WireOutcome
    if (outcome.type !== 'renewed') return faultOfOutcome(key, outcome)
    return { renewed: true, key, token, duration: ((outcome.holder.lease ?? row.lease) * 3) / 4 }
  }

  /** Releases the lock. It is no error if the lock was lost. */
  async release(caller: Caller, { key, lockToken }: ReleaseBody): Promise<ReleaseReply | Fault> {
    const hold = await this.#find(caller, key, lockToken)
    if ('status' in hold) return hold.reply.error.code === 'not-held' ? { released: false, key } : hold
    const { session, token } = hold
    const commands: WireCommand[] = [{ type: 'release', key, session, token, lockToken }]
    if (session.startsWith(singlePrefix)) commands.push({ type: 'end', session })
    const [outcome] = (await this.#desk.apply(caller, commands, undefined)).outcomes as [WireOutcome]
    if (outcome.type === 'done') return { released: true, key }
    const fault = faultOfOutcome(key, outcome)
    return fault.reply.error.code === 'not-held' ? { released: false, key } : fault
  }

  async #find(caller: Caller, key: string, lockToken: string) {
    const verified = await this.#desk.verify(key, lockToken, caller)
    if (verified.valid) return { ...verified.holder, token: verified.token }
    return verified.why === 'forged' ? faultOf(403, 'forbidden', `this is not a lockToken of ${JSON.stringify(key)}`) : lost(key)
  }
}

const lost = (key: string): Fault => faultOf(409, 'not-held', `${JSON.stringify(key)} is no longer held with this lockToken`)

function faultOfOutcome(key: string, outcome: WireOutcome): Fault {
  if (outcome.type === 'failed') return faultOfFailed(outcome)
  if (outcome.type !== 'refused' || outcome.reason !== 'not-owner') return lost(key)
  return faultOf(403, 'not-owner', `${JSON.stringify(key)} was acquired with another client key or credential`)
}
