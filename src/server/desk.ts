import type { Command, LockError, Outcome } from '../protocol/index.ts'
import type { Store } from '../store.ts'
import type { Caller } from './access.ts'
import { whoOf } from './budgets.ts'
import type { Claims } from './claims.ts'
import { gather } from './gather.ts'
import type { Hub } from './hub.ts'
import { Judge, type Ruling } from './judge.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import type { Openings } from './openings.ts'
import type { HandlerOptions, Limits } from './options.ts'
import { Overseer } from './overseer.ts'
import type { Owners } from './owners.ts'
import type { Sender } from './senders.ts'
import { Tickets } from './tickets.ts'
import type { KeyRing } from './tokens.ts'
import type { Turns } from './turns.ts'
import { veiled, veiledOutcome, veiledRow } from './veil.ts'
import { verify } from './verify.ts'
import type { ApplyReply, ReadReply, RowsReply, Ticket, VerifyReply, WireCommand } from './wire.ts'

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

/** How long the server judges the commands of one batch before other requests get their turn, in ms. */
const longest = 1

/** Carries out clients' commands, sends hints about them and logs them. */
export class Desk {
  readonly overseer: Overseer
  readonly #parts: Parts
  readonly #apply: (commands: readonly Command[], caller?: Caller) => Promise<Outcome[]>
  readonly #judge: Judge
  readonly #tickets: Tickets

  constructor(parts: Parts) {
    this.#parts = parts
    this.#tickets = new Tickets(parts.ring, parts.owners)
    this.#apply = gather(parts.store, parts.log)
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
    this.#judge = new Judge({ ...parts, overseer: this.overseer })
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
      rulings.push(await this.#judge.rule(caller, command, commands))
    }
    const lawful = rulings.flatMap((ruling) => ('command' in ruling ? [ruling.command] : []))
    const sent = performance.now()
    const done = lawful.length ? await this.#apply(lawful, caller) : []
    let next = 0
    const outcomes: Outcome[] = []
    for (const ruling of rulings)
      outcomes.push('command' in ruling ? await this.#tryAgain(ruling.command, done[next++] as Outcome, caller) : ruling.outcome)
    const lockTokens: Ticket[] = []
    for (const [index, outcome] of outcomes.entries()) {
      const command = commands[index] as WireCommand
      if ('command' in (rulings[index] as Ruling)) this.#note(command, outcome, caller)
      if (outcome.type === 'beaten') {
        this.overseer.sawStale(outcome.stale, sent)
        // Finding abandoned sessions is the server's task.
        outcomes[index] = { ...outcome, stale: [] }
      }
      lockTokens.push(...this.#tickets.of(command, outcome, caller))
    }
    try {
      await this.#parts.log.written()
    } catch (error) {
      return await this.#takeBack(commands, outcomes, error as LockError)
    }
    for (const [index, outcome] of outcomes.entries())
      if ('command' in (rulings[index] as Ruling)) this.#parts.hub.announce(commands[index] as WireCommand, outcome, sender)
    return { outcomes: outcomes.map(veiledOutcome), lockTokens }
  }

  /** The log cannot be written: releases the new grants again and answers that they failed. Everything else stays. */
  async #takeBack(commands: readonly WireCommand[], outcomes: readonly Outcome[], { code, message }: LockError): Promise<ApplyReply> {
    const releases: Command[] = []
    const kept = outcomes.map((outcome, index): Outcome => {
      const command = commands[index] as WireCommand
      if (outcome.type !== 'granted' || command.type !== 'request') return outcome
      const { key, session } = command
      const { token } = outcome.holder
      // A repeated grant may be in use: its client was told of it before.
      if (!outcome.repeated) releases.push({ type: 'release', key, session, token })
      return { type: 'failed', code, message }
    })
    if (releases.length) await this.#act(releases).catch(() => {})
    return { outcomes: kept.map(veiledOutcome), lockTokens: [] }
  }

  /** Dead sessions must not block a request that does not wait. */
  async #tryAgain(command: Command, outcome: Outcome, caller: Caller): Promise<Outcome> {
    if (command.type !== 'request' || outcome.type !== 'refused') return outcome
    const { reason, record } = outcome
    if (reason !== 'busy' && reason !== 'limit') return outcome
    // With another limit, a single live holder or waiter is in the way.
    if (!(await this.overseer.clearWay(record, reason === 'busy' ? command : { mode: 'exclusive' }))) return outcome
    const [again] = await this.#apply([command], caller)
    return again as Outcome
  }

  /** A key's record as a client sees it, with the lockTokens of its sessions. */
  async read(caller: Caller, key: string): Promise<ReadReply> {
    const view = await this.#parts.store.read(key)
    // The record may tell a waiter of its grant, so the grant has to be in the log first.
    await this.#parts.log.written()
    if (!view) return { lock: null, lockTokens: [] }
    // Clients' sessions have no beacons. After a restart, this is how the server finds those that only wait.
    for (const { id, beacon } of view.sessions.values()) if (beacon === undefined) await this.#parts.owners.of(id)
    if (view.holders.length) this.overseer.attend(key)
    const lockTokens = view.holders
      .filter(({ session }) => this.#tickets.owns(caller, session))
      .map((holder) => this.#tickets.make(key, holder.session, holder))
    const waiting = new Set(view.queue.map(({ session }) => session).filter((session) => this.#tickets.owns(caller, session)))
    for (const session of waiting) lockTokens.push(this.#tickets.make(key, session))
    return { lock: veiled(view), lockTokens }
  }

  /** Session rows of a key's record, for a client that is far back in the queue; the first is its own. */
  async rows(key: string, sessions: readonly string[]): Promise<RowsReply> {
    // With this reader the store need not decode the record again. Sessions that concern only other keys are not shown.
    const view = await this.#parts.store.read(key, sessions[0])
    const found = sessions.flatMap((id) => view?.sessions.get(id) ?? [])
    return { sessions: Object.fromEntries(found.map((row) => [row.id, veiledRow(row)])) }
  }

  /** Whether a lockToken belongs to a lock that is held now, according to the store. */
  verify(key: string, lockToken: string, caller?: Caller): Promise<VerifyReply> {
    return verify(this.#parts, key, lockToken, caller)
  }

  /** Carries out the server's own commands. */
  async #act(commands: readonly Command[]): Promise<void> {
    const outcomes = await this.#apply(commands)
    for (const [index, outcome] of outcomes.entries()) this.#note(commands[index] as Command, outcome)
    await this.#parts.log.written()
    for (const [index, outcome] of outcomes.entries()) this.#parts.hub.announce(commands[index] as Command, outcome)
  }

  /** Makes the caller the owner of sessions that a batch opens, if they are new. */
  async #openNew(caller: Caller, commands: readonly WireCommand[]): Promise<void> {
    const opened = new Set<string>()
    for (const command of commands) if (command.type === 'beat' && command.opens && !this.#judge.faultOf(caller, command)) opened.add(command.session)
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
      for (const session of fresh) if (!this.#tickets.owns(caller, session)) claims.end(session)
    }
  }

  /** Ends a session unless it has beaten since its `seq` had this value, and grants its lock on the key to the next waiter. */
  async endUnseen(session: string, seq: number, key: string): Promise<void> {
    const end: Command = { type: 'end', session, seq }
    const [outcome] = (await this.#apply([end])) as [Outcome]
    if (outcome.type !== 'ended') return
    this.#note(end, outcome)
    await this.#act([{ type: 'expire', key, evidence: { token: 0, seq: undefined } }])
  }

  /** Forgets a session that has ended. */
  forget(session: string): void {
    this.#judge.forget(session)
    this.#parts.claims.end(session)
  }

  /** Keeps track of what a command did. */
  #note(command: WireCommand, outcome: Outcome, caller?: Caller): void {
    const { log, metrics, claims } = this.#parts
    log.noteVain(command, outcome, caller)
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
}
