import { type Command, type Outcome, storeError } from '../protocol/index.ts'
import type { Store } from '../store.ts'
import { type Clock, driftOf } from './clock.ts'
import type { Over, Patience, Watched } from './patience.ts'

/** A command's outcome, and the monotonic time just before the command was sent, from which deadlines count. */
export interface Reply {
  readonly outcome: Outcome
  readonly sent: number
  /** By how much the wall clock was ahead of the monotonic one then, in ms. */
  readonly drift: number
}

interface Letter {
  readonly command: Command
  /** Whether its answer is no longer awaited. */
  isOver?: boolean
  resolve(reply: Reply): void
  reject(error: unknown): void
}

/** Commands that were sent together. */
interface Batch extends Watched {
  /** Called when it is answered. */
  readonly ends: (() => void)[]
}

const fail = ({ command, reject }: Letter, error: unknown): void => reject(storeError(error, `the store failed to ${command.type}`))

/**
 * Called with every reply, before the command's own promise resolves.
 * @param late the command, if its caller was already told that there is no answer
 */
type Arrived = (reply: Reply, late: Command | undefined) => void

/** Sends the commands of one turn of the event loop as one batch, in order. */
export class Outbox {
  readonly #store: Store
  readonly #clock: Clock
  readonly #patience: Patience
  readonly #arrived: Arrived
  #letters: Letter[] = []
  /** Batches whose answers are awaited. */
  readonly #underWay = new Set<Batch>()

  constructor(store: Store, clock: Clock, patience: Patience, arrived: Arrived) {
    this.#store = store
    this.#clock = clock
    this.#patience = patience
    this.#arrived = arrived
  }

  /**
   * Sends a command. Rejects with `store` if the store fails or does not answer; it is then unknown whether it has carried out the command, or will.
   */
  send(command: Command): Promise<Reply> {
    return new Promise((resolve, reject) => {
      // In a browser, a promise costs a tenth of `queueMicrotask`.
      if (this.#letters.push({ command, resolve, reject }) === 1) Promise.resolve().then(() => this.flush())
    })
  }

  /** Resolves a session's releases and withdrawals without sending them: the session's end, which follows, does the same. */
  leaveUnsaid(session: string): void {
    const moot = ({ command }: Letter): boolean => (command.type === 'release' || command.type === 'withdraw') && command.session === session
    const reply: Reply = { outcome: { type: 'ended' }, sent: this.#clock.monotonic(), drift: driftOf(this.#clock) }
    for (const letter of this.#letters.filter(moot)) letter.resolve(reply)
    this.#letters = this.#letters.filter((letter) => !moot(letter))
  }

  /** Sends the collected commands now, not at the end of this turn: a page that is going away has no next turn. */
  flush(): void {
    const letters = this.#letters
    if (!letters.length) return
    this.#letters = []
    const sent = this.#clock.monotonic()
    const drift = driftOf(this.#clock, sent)
    const batch: Batch = { sent, due: 0, ends: [], look: (overdue) => this.#giveUp(batch, letters, overdue) }
    this.#underWay.add(batch)
    this.#patience.watch(batch)
    this.#apply(letters.map(({ command }) => command)).then(
      (outcomes) =>
        this.#afterTurn(sent, () => {
          for (let index = 0; index < letters.length; index++) {
            const letter = letters[index] as Letter
            const reply = { outcome: outcomes[index] as Outcome, sent, drift }
            this.#arrived(reply, letter.isOver ? letter.command : undefined)
            letter.resolve(reply)
          }
          this.#end(batch)
        }),
      (error) =>
        this.#afterTurn(sent, () => {
          for (const letter of letters) fail(letter, error)
          this.#end(batch)
        }),
    )
  }

  /** Rejects the commands that have waited long enough. @returns whether any still wait */
  #giveUp(batch: Batch, letters: readonly Letter[], overdue: Over): boolean {
    const left = letters.filter((letter) => {
      const error = overdue(letter.command.type === 'request')
      letter.isOver = error !== undefined
      if (error) fail(letter, error)
      return !error
    })
    if (!left.length) this.#end(batch)
    return left.length > 0
  }

  #end(batch: Batch): void {
    this.#patience.forget(batch)
    this.#underWay.delete(batch)
    for (const end of batch.ends) end()
  }

  /** Resolves when the store has answered everything sent before, or those answers are no longer awaited. */
  async answered(): Promise<void> {
    this.flush()
    await Promise.all(Array.from(this.#underWay, ({ ends }) => new Promise<void>((end) => ends.push(end))))
  }

  /**
   * Delays an answer that came at once until the event loop has turned, if a turn is due. The command itself must not be delayed, or a later command
   * of other code would reach the store first.
   * @param sent when the command was sent: if the answer did not come at once, the event loop has turned since
   */
  #afterTurn(sent: number, act: () => void): void {
    const turn = this.#clock.turn?.(sent)
    if (turn) turn.then(act)
    else act()
  }

  /** Returns a promise even if the store throws. */
  #apply(commands: readonly Command[]): Promise<Outcome[]> {
    try {
      return this.#store.apply(commands)
    } catch (error) {
      return Promise.reject(error)
    }
  }
}
