import type { Caller } from './access.ts'
import { type Budgets, whoOf } from './budgets.ts'
import type { Stream } from './stream.ts'

/** How long a sender that is silent is remembered, in ms: longer than any request of its may still be under way. */
const memory = 600_000

/** One store on the other side: its batches come one after another, and it has one event stream. */
export class Sender {
  readonly id: string
  caller: Caller
  topics: ReadonlySet<string> = new Set()
  stream: Pick<Stream, 'send' | 'ping' | 'close'> | undefined
  seenAt = 0
  /** Whose budget it uses. */
  readonly who: string
  #void = -1
  #turn: Promise<unknown> = Promise.resolve()

  constructor(id: string, caller: Caller) {
    this.id = id
    this.caller = caller
    this.who = whoOf(caller)
  }

  /** What the sender has taken back: batches up to this number. */
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

/** The senders of late. */
export class Senders {
  readonly #senders = new Map<string, Sender>()
  readonly #budgets: Budgets
  readonly #gone: (sender: Sender) => void

  /** Calls `gone` with one that was forgotten. */
  constructor(budgets: Budgets, gone: (sender: Sender) => void) {
    this.#budgets = budgets
    this.#gone = gone
  }

  /** The sender of this name, of this caller's owner alone; `undefined` if that would be one too many. */
  of(id: string, caller: Caller): Sender | undefined {
    const name = JSON.stringify([whoOf(caller), caller.owner, id])
    let sender = this.#senders.get(name)
    if (!sender) {
      if (!this.#budgets.take(whoOf(caller), 'senders')) return undefined
      sender = new Sender(id, caller)
    }
    // Those seen last are last, so that the oldest are found without looking at all.
    this.#senders.delete(name)
    this.#senders.set(name, sender)
    sender.caller = caller
    sender.seenAt = performance.now()
    return sender
  }

  /** One that no stream carries any more. */
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
