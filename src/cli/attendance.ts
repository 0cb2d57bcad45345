import { type Store, storeWith } from '../store.ts'
import { inWords, say } from './output.ts'
import { isFile, withoutSecret } from './place.ts'
import { writerOf } from './writer.ts'

/** How long a store may take to answer before the user is told, in ms: most answers take less than 1 ms. */
const patience = 1_000

interface Watch {
  /** In ms. */
  readonly after: number
  readonly over: () => void
}

/** Watches this program's questions to its store. If one is not answered within a second, says on stderr what the program waits for. */
class Attendance {
  #place = ''
  #said = false
  #quiet = false
  #timer: NodeJS.Timeout | undefined
  /** The questions that have not been answered yet, oldest first. */
  readonly #asked = new Set<{ readonly at: number }>()
  readonly #watches = new Set<Watch>()

  /** A store like the given one, whose questions are watched. */
  attend<S extends Pick<Store, 'read' | 'list'> & Partial<Store>>(store: S, place: string): S {
    this.#place = place
    return storeWith(store, {
      read: (...args) => this.#noted(store.read(...args)),
      list: (...args) => this.#noted(store.list(...args)),
      ...(store.apply && { apply: (...args) => this.#noted((store as Store).apply(...args)) }),
      ...(store.rows && { rows: (...args) => this.#noted((store as Required<Store>).rows(...args)) }),
      ...(store.page && { page: (...args) => this.#noted((store as Required<Store>).page(...args)) }),
    })
  }

  /** Whether a question has been unanswered for this many ms. */
  isSilent(ms: number): boolean {
    return this.#age() >= ms
  }

  /** Why the store does not answer: the process that writes to it, if it is known, else for how long it has been silent. */
  why(): string {
    const writer = isFile(this.#place) ? writerOf(this.#place) : undefined
    return writer ? `${writer} is writing` : `it has not answered for ${inWords(Math.floor(this.#age() / 1_000) * 1_000)}`
  }

  /** Turns reports off while this program is not waiting, for example while its command runs. */
  hush(quiet: boolean): void {
    this.#quiet = quiet
    this.#plan()
  }

  /** The result of some work, unless a question to the store stays unanswered for this many ms. @throws the error that `tooLong` makes */
  async within<T>(ms: number, work: Promise<T>, tooLong: (why: string) => Error): Promise<T> {
    let watch: Watch | undefined
    const silent = new Promise<never>((_, reject) => {
      watch = { after: ms, over: () => reject(tooLong(this.why())) }
      this.#watches.add(watch)
      this.#plan()
    })
    try {
      return await Promise.race([work, silent])
    } finally {
      this.#watches.delete(watch as Watch)
      work.catch(() => {})
    }
  }

  async #noted<T>(answer: Promise<T>): Promise<T> {
    const question = { at: performance.now() }
    this.#asked.add(question)
    // Most answers come at once. Without a timer they do not wake this process again, which costs much if a hundred processes wait.
    setImmediate(() => this.#timer ?? this.#plan())
    try {
      return await answer
    } finally {
      this.#asked.delete(question)
      if (!this.#asked.size) this.#said = false
    }
  }

  /** Looks again as soon as the oldest unanswered question may be old enough for a report or a watch. */
  #plan(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (!this.#asked.size) return
    const age = this.#age()
    const ages = [...(this.#quiet || this.#said ? [] : [patience]), ...Array.from(this.#watches, ({ after }) => after)]
    if (ages.length) this.#timer = setTimeout(() => this.#look(), Math.max(0, Math.ceil(Math.min(...ages) - age))).unref()
  }

  #age(): number {
    const [first] = this.#asked
    return first ? performance.now() - first.at : 0
  }

  #look(): void {
    const age = this.#age()
    for (const { after, over } of this.#watches) if (age >= after) over()
    if (age >= patience && !this.#quiet && !this.#said) {
      this.#said = true
      say(`waiting for ${withoutSecret(this.#place)}: ${this.why()}`)
    }
    this.#plan()
  }
}

/** One for the whole process, which has one store. */
export const attendance = new Attendance()
