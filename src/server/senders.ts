import type { Caller } from './access.ts'
import { type Budgets, whoOf } from './budgets.ts'
import type { Stream } from './stream.ts'

/** How long a silent sender is remembered, in ms: longer than any of its requests may be pending. */
const memory = 600_000

/** A client's store: its batches come one after another, and it has one event stream. */
export class Sender {
  readonly id: string
  caller: Caller
  topics: ReadonlySet<string> = new Set()
  stream: Pick<Stream, 'send' | 'ping' | 'close'> | undefined
  seenAt = 0
  /** The owner of the budget that it uses. */
  readonly who: string
  #void = -1
  #turn: Promise<unknown> = Promise.resolve()

  constructor(id: string, caller: Caller) {
    this.id = id
    this.caller = caller
    this.who = whoOf(caller)
  }

  /** The sender has given up batches up to this number. */
  giveUp(number: number): void {
    this.#void = Math.max(this.#void, number)
  }

  isVoid(batch: number): boolean {
    return batch <= this.#void
  }

  /** Runs a task when those before it are done. */
  inTurn<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(task)
    this.#turn = result.catch(() => {})
    return result
  }
}

/** The senders that were active recently. */
export class Senders {
  readonly #senders = new Map<string, Sender>()
  readonly #budgets: Budgets
  readonly #gone: (sender: Sender) => void

  /** Calls `gone` with each sender that was forgotten. */
  constructor(budgets: Budgets, gone: (sender: Sender) => void) {
    this.#budgets = budgets
    this.#gone = gone
  }

  /** The sender with this id and this caller's owner; `undefined` if it would be one too many. */
  of(id: string, caller: Caller): Sender | undefined {
    const name = JSON.stringify([whoOf(caller), caller.owner, id])
    let sender = this.#senders.get(name)
    if (!sender) {
      if (!this.#budgets.take(whoOf(caller), 'senders')) return undefined
      sender = new Sender(id, caller)
    }
    // Keep the map in the order of last use, so that the oldest senders are found quickly.
    this.#senders.delete(name)
    this.#senders.set(name, sender)
    sender.caller = caller
    sender.seenAt = performance.now()
    return sender
  }

  /** Forgets a sender that no longer has a stream. */
  forget(sender: Sender): void {
    const name = JSON.stringify([sender.who, sender.caller.owner, sender.id])
    if (!this.#senders.delete(name)) return
    this.#budgets.give(sender.who, 'senders')
    this.#gone(sender)
  }

  all(): Iterable<Sender> {
    return this.#senders.values()
  }

  forgetOld(): void {
    const now = performance.now()
    for (const [name, sender] of this.#senders) {
      if (now - sender.seenAt < memory) return
      if (sender.stream) continue
      this.#senders.delete(name)
      this.#budgets.give(sender.who, 'senders')
      this.#gone(sender)
    }
  }
}
