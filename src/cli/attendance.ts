import type { Store } from '../store.ts'
import { inWords, say } from './output.ts'
import { isFile, withoutSecret } from './place.ts'
import { writerOf } from './writer.ts'

/** How long a store may take to answer before somebody is told, in ms: most answers take less than one. */
const patience = 1_000
/** Between two looks at what has not been answered, in ms. */
const pause = 50

interface Watch {
  /** In ms. */
  readonly after: number
  readonly over: () => void
}

/** Watches what this program asks of its store, and says on stderr what it waits for if that takes longer than a second. */
class Attendance {
  #place = ''
  #said = false
  #quiet = false
  #timer: NodeJS.Timeout | undefined
  /** When each question was asked that has not been answered yet. */
  readonly #asked = new Set<{ readonly at: number }>()
  readonly #watches = new Set<Watch>()

  /** The same store, watched. */
  attend<S extends Pick<Store, 'read' | 'list'> & Partial<Store>>(store: S, place: string): S {
    this.#place = place
    const { apply, rows, page } = store
    return {
      ...store,
      read: (...args) => this.#noted(store.read(...args)),
      list: (...args) => this.#noted(store.list(...args)),
      ...(apply && { apply: (...args: Parameters<Store['apply']>) => this.#noted(apply(...args)) }),
      ...(rows && { rows: (...args: Parameters<typeof rows>) => this.#noted(rows(...args)) }),
      ...(page && { page: (...args: Parameters<typeof page>) => this.#noted(page(...args)) }),
    }
  }

  /** Whether something has not been answered for this many ms. */
  isSilent(ms: number): boolean {
    return this.#age() >= ms
  }

  /** What the store is busy with, as far as that can be known. */
  why(): string {
    const writer = isFile(this.#place) ? writerOf(this.#place) : undefined
    return writer ? `${writer} is writing` : `it has not answered for ${inWords(Math.floor(this.#age() / 1_000) * 1_000)}`
  }

  /** Says nothing while something else goes on that is no wait, such as a command. */
  hush(quiet: boolean): void {
    this.#quiet = quiet
  }

  /** The result of some work, unless one question to the store stays unanswered for this many ms. @throws what `tooLong` makes of the reason */
  async within<T>(ms: number, work: Promise<T>, tooLong: (why: string) => Error): Promise<T> {
    let watch: Watch | undefined
    const silent = new Promise<never>((_, reject) => {
      watch = { after: ms, over: () => reject(tooLong(this.why())) }
      this.#watches.add(watch)
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
    this.#timer ??= setInterval(() => this.#look(), pause).unref()
    try {
      return await answer
    } finally {
      this.#asked.delete(question)
      if (!this.#asked.size) this.#rest()
    }
  }

  #rest(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#said = false
  }

  #age(): number {
    const [first] = this.#asked
    return first ? performance.now() - first.at : 0
  }

  #look(): void {
    const age = this.#age()
    for (const { after, over } of this.#watches) if (age >= after) over()
    if (age < patience || this.#quiet || this.#said) return
    this.#said = true
    say(`waiting for ${withoutSecret(this.#place)}: ${this.why()}`)
  }
}

/** Of this process, which has one store. */
export const attendance = new Attendance()
