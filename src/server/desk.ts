import {
  type Command,
  emptyView,
  evictionOf,
  type Holder,
  type LockError,
  type LockView,
  lastTokenOf,
  type Outcome,
  type Refusal,
  type Withdraw,
} from '../protocol/index.ts'
import type { Store } from '../store.ts'
import type { Caller } from './access.ts'
import { type Budget, whoOf } from './budgets.ts'
import type { Claims } from './claims.ts'
import { gather } from './gather.ts'
import type { Hub } from './hub.ts'
import type { Log } from './log.ts'
import type { Metrics, RefusalKind } from './metrics.ts'
import type { Openings } from './openings.ts'
import type { HandlerOptions, Limits } from './options.ts'
import { Overseer } from './overseer.ts'
import { type Owners, sameOwner } from './owners.ts'
import { Policies } from './policies.ts'
import type { Sender } from './senders.ts'
import { type KeyRing, makeLockToken, openLockToken } from './tokens.ts'
import type { Turns } from './turns.ts'
import { veiled, veiledOutcome, veiledRow } from './veil.ts'
import type { ApplyReply, OverLimit, ReadReply, RowsReply, Ticket, VerifyReply, WireCommand } from './wire.ts'

interface Parts {
  readonly store: Store
  readonly ring: KeyRing
  readonly owners: Owners
  readonly openings: Openings
  readonly hub: Hub
  readonly log: Log
  readonly metrics: Metrics
  readonly claims: Claims
  readonly turns: Turns
  readonly limits: Limits
  readonly options: HandlerOptions
}

/** What becomes of a command: it goes to the store, or is answered here. */
type Ruling = { readonly command: Command } | { readonly outcome: Outcome }

/** How long the commands of a batch are judged before others have their turn, in ms. */
const longest = 4

type Owned = Extract<WireCommand, { lockToken?: string | undefined }>

/** Where clients' commands are judged, carried out, told and noted. */
export class Desk {
  readonly overseer: Overseer
  readonly #parts: Parts
  readonly #apply: (commands: readonly Command[], who?: string) => Promise<Outcome[]>
  readonly #policies: Policies

  constructor(parts: Parts) {
    this.#parts = parts
    this.#apply = gather(parts.store)
    this.#policies = new Policies(parts.options.policies)
    this.overseer = new Overseer(
      parts.store,
      {
        act: (commands) => this.#act(commands),
        hint: (session, key) => parts.hub.tell(session, { key }),
        isClient: (session) => parts.owners.known(session) !== undefined,
        saw: (view) => {
          parts.claims.compare(view)
          parts.hub.saw(view)
        },
      },
      parts.options.expiry !== 'manual',
    )
  }

  /** Carries out a client's batch. */
  async apply(caller: Caller, commands: readonly WireCommand[], sender: Sender | undefined): Promise<ApplyReply> {
    await this.#openNew(caller, commands)
    try {
      return await this.#carryOut(caller, commands, sender)
    } finally {
      for (const command of commands) if (command.type === 'request') this.#parts.claims.settle(command)
    }
  }

  async #carryOut(caller: Caller, commands: readonly WireCommand[], sender: Sender | undefined): Promise<ApplyReply> {
    const who = whoOf(caller)
    const rulings: Ruling[] = []
    let began = performance.now()
    for (const command of commands) {
      if (performance.now() - began > longest) {
        await this.#parts.turns.rest(who)
        began = performance.now()
      }
      const ruling = await this.#rule(caller, command, commands)
      // What comes later in a batch is judged by what came before.
      if ('command' in ruling) this.#policies.saw(command)
      rulings.push(ruling)
    }
    const lawful = rulings.flatMap((ruling) => ('command' in ruling ? [ruling.command] : []))
    const sent = performance.now()
    const done = lawful.length ? await this.#apply(lawful, who) : []
    let next = 0
    const outcomes: Outcome[] = []
    for (const ruling of rulings)
      outcomes.push('command' in ruling ? await this.#tryAgain(ruling.command, done[next++] as Outcome, who) : ruling.outcome)
    const lockTokens: Ticket[] = []
    for (const [index, outcome] of outcomes.entries()) {
      const command = commands[index] as WireCommand
      if ('command' in (rulings[index] as Ruling)) this.#note(command, outcome, caller)
      if (outcome.type === 'beaten') {
        this.overseer.sawStale(outcome.stale, sent)
        // Who else is abandoned is for the server to find out.
        outcomes[index] = { ...outcome, stale: [] }
      }
      lockTokens.push(...this.#ticketsOf(command, outcome, caller))
    }
    try {
      await this.#parts.log.written()
    } catch (error) {
      return await this.#takeBack(commands, outcomes, error as LockError)
    }
    for (const [index, outcome] of outcomes.entries())
      if ('command' in (rulings[index] as Ruling)) this.#tell(commands[index] as WireCommand, outcome, sender)
    return { outcomes: outcomes.map(veiledOutcome), lockTokens }
  }

  /** What was granted is not in the log: it is released again, and nobody is told of it. All else stands. */
  async #takeBack(commands: readonly WireCommand[], outcomes: readonly Outcome[], { code, message }: LockError): Promise<ApplyReply> {
    const releases: Command[] = []
    const kept = outcomes.map((outcome, index): Outcome => {
      const command = commands[index] as WireCommand
      if (outcome.type !== 'granted' || command.type !== 'request') return outcome
      const { key, session } = command
      const { token } = outcome.holder
      // One that was granted before may be in use: whoever has it was told of it then.
      if (!outcome.repeated) releases.push({ type: 'release', key, session, token })
      return { type: 'failed', code, message }
    })
    if (releases.length) await this.#act(releases).catch(() => {})
    return { outcomes: kept.map(veiledOutcome), lockTokens: [] }
  }

  /** Those that are gone are not in the way of a request that does not wait. */
  async #tryAgain(command: Command, outcome: Outcome, who: string): Promise<Outcome> {
    if (command.type !== 'request' || outcome.type !== 'refused' || outcome.reason !== 'busy') return outcome
    if (!(await this.overseer.clearWay(outcome.record, command.mode))) return outcome
    const [again] = await this.#apply([command], who)
    return again as Outcome
  }

  /** A key's record as a client sees it, with the tokens of what its sessions have. */
  async read(caller: Caller, key: string): Promise<ReadReply> {
    const view = await this.#parts.store.read(key)
    // A look may be how a waiter is told of its grant.
    await this.#parts.log.written()
    if (!view) return { lock: null, lockTokens: [] }
    // Clients' sessions have no beacons. After a restart this is how those come to mind that only wait.
    for (const { id, beacon } of view.sessions.values()) if (beacon === undefined) await this.#parts.owners.of(id)
    if (view.holders.length) this.overseer.attend(key)
    const lockTokens = view.holders.filter(({ session }) => this.#owns(caller, session)).map((holder) => this.#ticket(key, holder.session, holder))
    const waiting = new Set(view.queue.map(({ session }) => session).filter((session) => this.#owns(caller, session)))
    for (const session of waiting) lockTokens.push(this.#ticket(key, session))
    return { lock: veiled(view), lockTokens }
  }

  /** Rows of sessions that stand in a key's record, as a client sees them that is far back in the line; the first is its own. */
  async rows(key: string, sessions: readonly string[]): Promise<RowsReply> {
    // As that reader the store decodes nothing anew, and nothing is told of sessions that have to do with other keys alone.
    const view = await this.#parts.store.read(key, sessions[0])
    const found = sessions.flatMap((id) => view?.sessions.get(id) ?? [])
    return { sessions: Object.fromEntries(found.map((row) => [row.id, veiledRow(row)])) }
  }

  /** Whether a lockToken is that of a hold which stands, by the store. */
  async verify(key: string, lockToken: string, caller?: Caller): Promise<VerifyReply> {
    const { ring, store, log, metrics } = this.#parts
    const grip = openLockToken(ring, key, lockToken)
    if (grip?.token === undefined) {
      metrics.refusals.inc({ kind: 'lockToken' })
      log.refuse({ key }, 'verify: a forged lockToken', caller)
      return { valid: false, why: 'forged' }
    }
    const { session, token } = grip
    const view = await store.read(key)
    const holder = view?.holders.find((held) => held.token === token && held.session === session)
    const row = view?.sessions.get(session)
    if (!holder || !row) return { valid: false, why: 'not-held', reason: holder ? 'ended' : view && evictionOf(view, token) }
    return { valid: true, holder: { session, client: row.client, label: row.label }, mode: holder.mode, token, lastToken: lastTokenOf(holder) }
  }

  /** Commands of the server's own. */
  async #act(commands: readonly Command[]): Promise<void> {
    const outcomes = await this.#apply(commands)
    for (const [index, outcome] of outcomes.entries()) this.#note(commands[index] as Command, outcome)
    await this.#parts.log.written()
    for (const [index, outcome] of outcomes.entries()) this.#tell(commands[index] as Command, outcome)
  }

  /** Makes sessions that a batch opens the caller's, if they are new. */
  async #openNew(caller: Caller, commands: readonly WireCommand[]): Promise<void> {
    const opened = new Set<string>()
    for (const command of commands) if (command.type === 'beat' && command.opens && !this.#faultOf(caller, command)) opened.add(command.session)
    const { claims } = this.#parts
    const fresh: string[] = []
    for (const session of opened) {
      if (claims.knows(session)) continue
      if (caller.owner && claims.open(session, caller)) fresh.push(session)
      else opened.delete(session)
    }
    if (!fresh.length) return
    try {
      await this.#parts.openings.open(opened, caller.owner)
    } finally {
      for (const session of fresh) if (!this.#owns(caller, session)) claims.end(session)
    }
  }

  /** A session has ended. */
  forget(session: string): void {
    this.#policies.forget(session)
    this.#parts.claims.end(session)
  }

  async #rule(caller: Caller, command: WireCommand, batch: readonly WireCommand[]): Promise<Ruling> {
    const fault = this.#faultOf(caller, command)
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
        // Evidence that a session is gone is the server's own to have.
        if (command.type === 'end') return command.seq === undefined ? { command } : { outcome: { type: 'alive' } }
        // One from before the server was started is heard of by its beat.
        this.#parts.claims.open(command.session, caller)
        return { command }
      }
      case 'challenge':
        // The server asks for signs of life by itself.
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

  /** What this caller may never do, in words. */
  #faultOf(caller: Caller, command: WireCommand): string | undefined {
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
    // A lockToken is good for as long as the session that it names.
    const command = { ...own, standing: true }
    const { key, session } = command
    const token = command.type === 'withdraw' ? undefined : command.token
    const grip = lockToken === undefined ? undefined : openLockToken(this.#parts.ring, key, lockToken)
    if (grip?.session === session && grip.token === token) return { command }
    // Who asks may take it back in the same breath.
    if (command.type === 'withdraw' && batch.some((other) => isRequest(other, command))) return { command }
    // Without a right token a command may only be told that there is nothing to do.
    const view = await this.#parts.store.read(key)
    if (!concerns(command, view)) return { command }
    // A request that was granted may be withdrawn by whoever may release it.
    if (command.type === 'withdraw' && grip?.session === session && grip.token === holderOf(command, view)?.token) return { command }
    this.#refuse('lockToken', command, `${command.type}: ${lockToken === undefined ? 'no' : 'a forged or foreign'} lockToken`, caller)
    return { outcome: refused('not-owner', view ?? emptyView(key)) }
  }

  async #ruleExpire(caller: Caller, command: Extract<WireCommand, { type: 'expire' }>): Promise<Ruling> {
    const { key, session } = command
    const verdict = await this.overseer.judge(key, command.evidence)
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

  #owns(caller: Caller, session: string): boolean {
    const owner = this.#parts.owners.known(session)
    return owner !== undefined && sameOwner(owner, caller.owner)
  }

  /** Notes what a command did. */
  #note(command: WireCommand, outcome: Outcome, caller?: Caller): void {
    const { log, metrics, claims } = this.#parts
    log.note(command, outcome, caller)
    metrics.commands.inc({ type: command.type, outcome: outcome.type })
    if (outcome.type === 'ended' && (command.type === 'end' || command.type === 'beat')) this.forget(command.session)
    if (outcome.type === 'ended' && command.type === 'end') this.overseer.lookAfter(command.session)
    if (command.type === 'sweep' && outcome.type === 'done') claims.swept(command.key)
    if (!('grants' in outcome)) return
    const { record, grants, evicted } = outcome
    const { key } = record
    this.overseer.note(record)
    for (const { session, number } of evicted) claims.drop(key, session, number)
    for (const { session, number, token } of grants) claims.granted(key, session, number, token)
    if (command.type === 'release' && outcome.type === 'done') claims.released(key, command.token)
    if (command.type === 'withdraw') claims.drop(key, command.session, command.number)
    if (command.type !== 'request') return
    if (outcome.type === 'queued') claims.queued(key, command.session, command.number)
    if (outcome.type === 'granted') claims.granted(key, command.session, command.number, outcome.holder.token)
    if (outcome.type === 'granted' && caller && !outcome.repeated && !outcome.holder.previous) claims.made(key, caller)
    if (outcome.type === 'queued' || outcome.type === 'refused') this.overseer.attend(key, outcome.type === 'queued')
  }

  /** Tells everyone whom it concerns what a command did, once that is in the log. */
  #tell(command: WireCommand, outcome: Outcome, sender?: Sender): void {
    if (!('grants' in outcome)) return
    const { hub } = this.#parts
    const { record, grants, evicted } = outcome
    const { key } = record
    for (const { session, number, token, previous, reserve } of grants)
      hub.tell(session, { key, number, token, previous, ...(reserve !== undefined && { reserve }) }, sender)
    for (const { session } of evicted) hub.tell(session, { key }, sender)
    if (command.type !== 'request' || outcome.type !== 'queued') return
    const wanted = command.ask !== undefined || record.holders.some(({ reserve }) => reserve !== undefined)
    if (wanted) for (const { session } of record.holders) hub.tell(session, { key }, sender)
  }

  #ticketsOf(command: WireCommand, outcome: Outcome, caller: Caller): Ticket[] {
    if (!('grants' in outcome)) return []
    const { key } = outcome.record
    const ticket = (holder: Holder): Ticket => this.#ticket(key, holder.session, holder)
    const tickets = outcome.grants.filter(({ session }) => this.#owns(caller, session)).map(ticket)
    if (outcome.type === 'granted') tickets.push(ticket(outcome.holder))
    if (outcome.type === 'queued' && command.type === 'request') tickets.push(this.#ticket(key, command.session))
    return tickets
  }

  #ticket(key: string, session: string, { token, number }: Partial<Holder> = {}): Ticket {
    // In this order: clients that are shell scripts look for a token and its lockToken side by side.
    return { key, session, token, lockToken: makeLockToken(this.#parts.ring, { key, session, token }), number }
  }
}

/** What the limits of a credential are on, where their names do not say. */
const wordsFor: Readonly<Partial<Record<Budget, string>>> = {
  held: 'locks held by this credential',
  waiters: 'places in queues of this credential',
  metadata: 'bytes of metadata and asks of this credential',
  record: 'bytes of metadata and asks of this credential at one lock',
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

/** Whether a record has what a command would change. */
function concerns(command: Omit<Owned, 'lockToken'>, view: LockView | undefined): boolean {
  const { session } = command
  const number = 'number' in command ? (command.number as number) : undefined
  const token = 'token' in command ? (command.token as number) : undefined
  return (
    view?.holders.some((holder) => holder.session === session && (number === undefined ? holder.token === token : holder.number === number)) ===
      true || view?.queue.some((run) => number !== undefined && run.session === session && run.from <= number && number <= run.to) === true
  )
}
