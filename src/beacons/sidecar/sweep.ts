import { isOwn, type SidecarFiles, sessionOf } from './files.ts'
import type { Turns } from './turns.ts'

/** How long after a proof of death we check whether the session's row is gone, in ms. The pause doubles each time, for so many tries. */
const soon = 50
const tries = 6
/** How long one step through the files takes, and the pause after it, in ms. */
const step = 0.5
const rest = 10

/** Removes the files of sessions that do not need them any more. */
export class Sweep {
  readonly #files: SidecarFiles
  readonly #turns: Turns
  readonly #isOver: (session: string) => boolean
  readonly #expected = new Set<string>()
  #stopped = false

  /** @param isOver whether a session has no row any more: until then its file is the proof of its death */
  constructor(files: SidecarFiles, turns: Turns, isOver: (session: string) => boolean) {
    this.#files = files
    this.#turns = turns
    this.#isOver = isOver
  }

  /** Removes the file of an owner that is proved dead, once its session's row is gone. The session that asked for the proof deletes that row. */
  expect(name: string): void {
    if (this.#expected.has(name)) return
    this.#expected.add(name)
    this.#lookIn(name, soon, tries)
  }

  #lookIn(name: string, pause: number, left: number): void {
    const look = async (): Promise<void> => {
      if (this.#stopped || !left || (await this.#turns.take(() => this.#remove(name)))) this.#expected.delete(name)
      else this.#lookIn(name, 2 * pause, left - 1)
    }
    setTimeout(look, pause).unref()
  }

  /** @returns whether its session is over */
  #remove(name: string): boolean {
    if (!this.#isOver(sessionOf(name))) return false
    this.#files.removeDead(name)
    return true
  }

  /** Goes through the files that crashes left behind, a few at a time. */
  async all(): Promise<void> {
    const names = this.#files.all()
    for (;;) {
      if (this.#stopped || (await this.#turns.take(() => this.#some(names)))) break
      await new Promise<void>((resolve) => setTimeout(resolve, rest).unref())
    }
    names.return(undefined)
  }

  /** Goes through the first of them, in one step. */
  begin(): void {
    const names = this.#files.all()
    this.#some(names)
    names.return(undefined)
  }

  /** @returns whether there are no more */
  #some(names: Iterator<string>): boolean {
    const until = performance.now() + step
    do {
      const { done, value } = names.next()
      if (done) return true
      if (!isOwn(value) && this.#isOver(sessionOf(value)) && this.#files.isSettled(value)) this.#files.removeDead(value)
    } while (performance.now() < until)
    return false
  }

  stop(): void {
    this.#stopped = true
  }
}
