/**
 * If only one credential was active recently: the most of its steps that are started in one turn of the event loop, and for how many ms. Then
 * connections and timers get their turn.
 */
const alone = { steps: 64, ms: 5 }
/** How long a credential counts as active at least, in ms. */
const lately = 50
/** A credential is busy if it used more than this, in ms, and more than twice as much as the least active one. The others must not wait for it. */
const much = 5
/** How long the steps of a busy credential are started in one turn, in ms. */
const short = 1

/** A credential that was active recently. */
interface Party {
  /** Its waiting steps, in order. */
  readonly steps: (() => void)[]
  /** How long the server worked for it, in ms; halved every `lately`. */
  used: number
  /** Until when it rests while the others get turns, in ms on the monotonic clock. */
  rests: number
}

/**
 * Makes credentials take turns on the server's one thread, so that a flood of requests delays only its own credential. One turn of the event loop
 * runs either one step of each quiet credential, or some steps of one busy credential, which then rests for as long as they took.
 */
export class Turns {
  /** The credentials with waiting steps, in the order of their turns. */
  readonly #waiting = new Map<string, Party>()
  /** The credentials that were active recently, and before that. */
  #present = new Map<string, Party>()
  #before = new Map<string, Party>()
  #watched = 0
  #coming = false
  /** How long the steps of each credential themselves took in the last turn, in ms. */
  readonly #taken = new Map<Party, number>()
  /** When the last turn began. */
  #began = 0
  /** The time of the last turn divided by that of its steps alone: their transactions and answers come after them. */
  #stretch = 1
  /** Whether a busy credential could have run in the last turn and did not. */
  #passed = false
  #alarm: NodeJS.Timeout | undefined

  /** Runs one step of a credential's work when its turn comes, together with other steps that came in the same turn of the event loop. */
  run<T>(who: string, step: () => T | Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#wait(who, () => {
        try {
          resolve(step())
        } catch (error) {
          reject(error)
        }
      })
    })
  }

  /** Lets other credentials go first, in the middle of long work. */
  rest(who: string): Promise<void> {
    return new Promise((resolve) => this.#wait(who, resolve))
  }

  /** How many steps wait. */
  get waiting(): number {
    return [...this.#waiting.values()].reduce((sum, { steps }) => sum + steps.length, 0)
  }

  #wait(who: string, take: () => void): void {
    const party = this.#present.get(who) ?? this.#before.get(who) ?? { steps: [], used: 0, rests: 0 }
    this.#present.set(who, party)
    party.steps.push(take)
    this.#waiting.set(who, party)
    this.#soon()
  }

  #soon(): void {
    if (this.#coming) return
    this.#coming = true
    setImmediate(() => {
      this.#coming = false
      this.#turn(performance.now())
    })
  }

  #turn(now: number): void {
    this.#pay(now)
    if (!this.#waiting.size) return
    this.#look(now)
    if (new Set([...this.#present.keys(), ...this.#before.keys()]).size === 1) this.#takeAlone(now)
    else this.#takeTogether(now)
  }

  /** Charges the last turn, with everything that followed from its steps, to the credentials whose steps ran in it, in proportion to their steps. */
  #pay(now: number): void {
    const took = now - this.#began
    const steps = [...this.#taken.values()].reduce((sum, time) => sum + time, 0)
    for (const [party, time] of this.#taken) {
      party.used += steps && (took * time) / steps
      party.rests = now + took
    }
    if (steps) this.#stretch = took / steps
    this.#taken.clear()
  }

  #takeAlone(began: number): void {
    for (const [who, party] of this.#waiting)
      for (let taken = 0; taken < alone.steps && party.steps.length && performance.now() - began <= alone.ms; taken++) this.#take(who, party)
    if (this.#waiting.size) this.#soon()
  }

  #takeTogether(now: number): void {
    const all = [...this.#waiting]
    const least = Math.min(...[...this.#before.values(), ...this.#present.values()].map(({ used }) => used))
    const limit = Math.max(much, 2 * least)
    const quiet = all.filter(([, { used }]) => used <= limit)
    const busy = all.find(([, { used, rests }]) => used > limit && rests <= now)
    const first = quiet.length && !(busy && this.#passed) ? quiet : busy ? [busy] : []
    if (!first.length) this.#wakeAt(Math.min(...all.map(([, { rests }]) => rests)), now)
    if (!first.length) return
    // Many quiet credentials must not starve a busy one.
    this.#passed = first === quiet && busy !== undefined
    this.#began = now
    for (const [who, party] of first) this.#takeTimed(who, party)
    // Short steps run together.
    if (first !== quiet)
      for (const [who, party] of first) while (party.steps.length && (performance.now() - now) * this.#stretch < short) this.#takeTimed(who, party)
    this.#soon()
  }

  /** Continues when the first rest is over. A credential that comes earlier does not wait for that. */
  #wakeAt(time: number, now: number): void {
    this.#alarm ??= setTimeout(() => {
      this.#alarm = undefined
      if (this.#waiting.size) this.#soon()
    }, time - now)
  }

  #takeTimed(who: string, party: Party): void {
    const began = performance.now()
    this.#take(who, party)
    this.#taken.set(party, (this.#taken.get(party) ?? 0) + performance.now() - began)
  }

  #take(who: string, party: Party): void {
    const take = party.steps.shift() as () => void
    // A credential that had its turn goes behind those that have not.
    this.#waiting.delete(who)
    if (party.steps.length) this.#waiting.set(who, party)
    take()
  }

  #look(now: number): void {
    if (now - this.#watched < lately) return
    this.#watched = now
    for (const party of this.#present.values()) party.used /= 2
    this.#before = this.#present
    this.#present = new Map(this.#waiting)
  }
}
