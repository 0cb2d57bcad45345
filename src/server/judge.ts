import { type Command, emptyView, type Holder, type LockView, type Outcome, type Refusal, type Withdraw } from '../protocol/index.ts'
import type { Store } from '../store.ts'
import type { Caller } from './access.ts'
import type { Budget } from './budgets.ts'
import type { Claims } from './claims.ts'
import type { Log } from './log.ts'
import type { Metrics, RefusalKind } from './metrics.ts'
import type { HandlerOptions, Limits } from './options.ts'
import type { Overseer } from './overseer.ts'
import { type Owners, sameOwner } from './owners.ts'
import { Policies } from './policies.ts'
import { type KeyRing, openLockToken } from './tokens.ts'
import type { OverLimit, WireCommand } from './wire.ts'

interface Parts {
  readonly store: Store
  readonly ring: KeyRing
  readonly owners: Owners
  readonly log: Log
  readonly metrics: Metrics
  readonly claims: Claims
  readonly overseer: Overseer
  readonly limits: Limits
  readonly options: HandlerOptions
}

/** The decision about a command: it goes to the store, or is answered at once. */
export type Ruling = { readonly command: Command } | { readonly outcome: Outcome }

type Owned = Extract<WireCommand, { lockToken?: string | undefined }>

/** Decides what a client's command may do. */
export class Judge {
  readonly #parts: Parts
  readonly #policies: Policies

  constructor(parts: Parts) {
    this.#parts = parts
    this.#policies = new Policies(parts.options.policies)
  }

  /** Judges one command of a batch, given those before it. */
  async rule(caller: Caller, command: WireCommand, batch: readonly WireCommand[]): Promise<Ruling> {
    const ruling = await this.#rule(caller, command, batch)
    if ('command' in ruling) this.#policies.saw(command)
    return ruling
  }

  /** Forgets a session that has ended. */
  forget(session: string): void {
    this.#policies.forget(session)
  }

  async #rule(caller: Caller, command: WireCommand, batch: readonly WireCommand[]): Promise<Ruling> {
    const fault = this.faultOf(caller, command)
    if (fault) {
      this.#refuse('right', command, fault, caller)
      return { outcome: { type: 'failed', code: 'invalid', message: fault } }
    }
    switch (command.type) {
      case 'beat':
      case 'end': {
        const ended: Ruling = { outcome: { type: 'ended' } }
        const owner = await this.#ownership(caller, command)
        const opens = command.type === 'beat' && command.opens === true
        if (owner !== 'own' && (opens || owner === 'other'))
          this.#refuse('session', command, `${command.type}: a session that is not this client’s`, caller)
        if (owner === 'none') return opens && !this.#parts.claims.mayOpen(caller) ? this.#tooMuch('sessions') : ended
        if (owner === 'other') return command.type === 'end' ? { outcome: { type: 'alive' } } : ended
        // Only the server itself may have evidence that a session is gone.
        if (command.type === 'end') return command.seq === undefined ? { command } : { outcome: { type: 'alive' } }
        // The server learns of a session from before its own start by that session's beat.
        this.#parts.claims.open(command.session, caller)
        return { command }
      }
      case 'challenge':
        // The server itself sends challenges.
        return { outcome: { type: 'challenged' } }
      case 'expire':
        return await this.#ruleExpire(caller, command)
      case 'request':
        return (await this.#ruleSession(caller, command)) ?? (await this.#ruleRequest(caller, command))
      case 'renew':
      case 'release':
      case 'withdraw':
        return (await this.#ruleSession(caller, command)) ?? (await this.#ruleOwned(caller, command, batch))
      default:
        return { command }
    }
  }

  /** Why this caller may never send this command, in words; `undefined` if it may. */
  faultOf(caller: Caller, command: WireCommand): string | undefined {
    if ('key' in command && !caller.mayUse(command.key)) {
      return `the client ${caller.name} may not use ${JSON.stringify(command.key)}: its keys start with ${caller.prefixes.join(' or ')}`
    }
    if (['revoke', 'pin', 'unpin', 'sweep'].includes(command.type) && !caller.admin) return `${command.type} needs a client that is admin`
    if (command.type === 'request' && command.steal && !caller.maySteal) return 'a request that steals needs a client with `steal`'
    if (command.type === 'request' && command.ask !== undefined && !caller.mayAsk) return 'to ask holders to release needs a client with `ask`'
    return this.#policies.faultOf(command)
  }

  async #ownership(caller: Caller, { session }: { readonly session: string }): Promise<'own' | 'other' | 'none'> {
    const owner = await this.#parts.owners.of(session)
    return owner === undefined ? 'none' : caller.owner && sameOwner(owner, caller.owner) ? 'own' : 'other'
  }

  /** Refuses a command for a session that is not the caller's. */
  async #ruleSession(caller: Caller, command: Extract<WireCommand, { type: 'request' }> | Owned): Promise<Ruling | undefined> {
    const owner = await this.#ownership(caller, command)
    if (owner === 'own') return undefined
    this.#refuse('session', command, owner === 'other' ? 'another client’s session' : 'a session that no client has opened', caller)
    return await this.#refusal(command.key, owner === 'other' ? 'not-owner' : 'ended')
  }

  async #ruleRequest(caller: Caller, command: Extract<WireCommand, { type: 'request' }>): Promise<Ruling> {
    const { claims, store, log } = this.#parts
    if (log.fault) return { outcome: { type: 'failed', code: log.fault.code, message: log.fault.message } }
    if (!claims.mayMake(caller) && !(await store.read(command.key))) return this.#tooMuch('keys')
    const limit = claims.ask(command, caller)
    return limit ? this.#tooMuch(limit) : { command }
  }

  #tooMuch(limit: Budget): Ruling {
    const message = `more than ${this.#parts.limits[limit]} ${wordsFor[limit] ?? limit}: wait, or have the limit \`${limit}\` raised`
    const outcome: Outcome & OverLimit = { type: 'failed', code: 'invalid', message, limit }
    return { outcome }
  }

  async #ruleOwned(caller: Caller, owned: Owned, batch: readonly WireCommand[]): Promise<Ruling> {
    const { lockToken, ...own } = owned
    // A lockToken is valid as long as its session.
    const command = { ...own, standing: true }
    const { key, session } = command
    const token = command.type === 'withdraw' ? undefined : command.token
    const grip = lockToken === undefined ? undefined : openLockToken(this.#parts.ring, key, lockToken)
    if (grip?.session === session && grip.token === token) return { command }
    // A request may be withdrawn in the same batch.
    if (command.type === 'withdraw' && batch.some((other) => isRequest(other, command))) return { command }
    // Without a valid lockToken, a command goes to the store only if there is nothing for it to change.
    const view = await this.#parts.store.read(key)
    if (!concerns(command, view)) return { command }
    // A client that may release a lock may also withdraw the request for it.
    if (command.type === 'withdraw' && grip?.session === session && grip.token === holderOf(command, view)?.token) return { command }
    this.#refuse('lockToken', command, `${command.type}: ${lockToken === undefined ? 'no' : 'a forged or foreign'} lockToken`, caller)
    return { outcome: refused('not-owner', view ?? emptyView(key)) }
  }

  async #ruleExpire(caller: Caller, command: Extract<WireCommand, { type: 'expire' }>): Promise<Ruling> {
    const { key, session } = command
    const verdict = await this.#parts.overseer.judge(key, command.evidence)
    if (typeof verdict === 'string') return await this.#refusal(key, verdict)
    const own = session !== undefined && (await this.#ownership(caller, { session })) === 'own'
    return { command: { type: 'expire', key, session: own ? session : undefined, evidence: verdict.evidence } }
  }

  async #refusal(key: string, reason: Refusal): Promise<Ruling> {
    const view = await this.#parts.store.read(key)
    return { outcome: refused(reason, view ?? emptyView(key)) }
  }

  #refuse(kind: RefusalKind, command: WireCommand, why: string, caller: Caller): void {
    this.#parts.log.refuse(command as { key?: string; session?: string; token?: number }, why, caller)
    this.#parts.metrics.refusals.inc({ kind })
  }
}

/** Descriptions of a credential's limits whose names are not clear. */
const wordsFor: Readonly<Partial<Record<Budget, string>>> = {
  held: 'locks held by this credential',
  waiters: 'places in queues of this credential',
  metadata: 'bytes of metadata and asks of this credential',
  record: 'bytes of metadata and asks of this credential in one lock',
  sessions: 'sessions of this credential',
  keys: 'new keys of this credential',
}

const refused = (reason: Refusal, record: LockView): Outcome => ({ type: 'refused', reason, record, grants: [], evicted: [] })

const isRequest = (
  other: WireCommand,
  { key, session, number }: { readonly key: string; readonly session: string; readonly number: number },
): boolean => other.type === 'request' && other.key === key && other.session === session && other.number === number

const holderOf = ({ session, number }: Withdraw, view: LockView | undefined): Holder | undefined =>
  view?.holders.find((holder) => holder.session === session && holder.number === number)

/** Whether a record has the holder or waiter that a command would change. */
function concerns(command: Omit<Owned, 'lockToken'>, view: LockView | undefined): boolean {
  const { session } = command
  const number = 'number' in command ? (command.number as number) : undefined
  const token = 'token' in command ? (command.token as number) : undefined
  return (
    view?.holders.some((holder) => holder.session === session && (number === undefined ? holder.token === token : holder.number === number)) ===
      true || view?.queue.some((run) => number !== undefined && run.session === session && run.from <= number && number <= run.to) === true
  )
}
