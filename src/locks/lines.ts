import { Observer } from './core/observer.ts'
import type { Home, LineKeeper } from './home.ts'
import { Line } from './line.ts'
import { Pasts } from './past.ts'

/** How many idle lines a session keeps. */
const idleLines = 100
/** For how many further keys it keeps what it observed of holders. */
const observers = 10_000

/** A session's lines: those in use, and some idle ones, since names tend to be used again. */
export class Lines implements LineKeeper {
  readonly #session: Home
  readonly #lines = new Map<string, Line>()
  readonly #observers = new Map<string, Observer>()
  /** The idle lines, longest idle first. */
  readonly #idle = new Set<Line>()
  readonly #pasts = new Pasts()
  /** At least as high as the number of any request of a line that is gone: numbers are never used twice. */
  #number = 0

  constructor(session: Home) {
    this.#session = session
  }

  /** The line for a key, if there is one. */
  get(key: string): Line | undefined {
    return this.#lines.get(key)
  }

  all(): Iterable<Line> {
    return this.#lines.values()
  }

  /** The line for a key, for a call that uses it until {@link Lines.giveBack}. */
  take(key: string, name: string): Line {
    let line = this.#lines.get(key)
    if (!line) {
      line = new Line(this.#session, key, name, this.#pasts.take(key), this.#number)
      line.sleep(this.#session.isAsleep)
      this.#lines.set(key, line)
    }
    line.users += 1
    this.#idle.delete(line)
    return line
  }

  /** A call no longer needs a line. */
  giveBack(line: Line): void {
    line.users -= 1
    this.settle(line)
  }

  /** Notes that a line is idle, if it is, and drops the line that has been idle for longest if there are too many. */
  settle(line: Line): void {
    if (!line.idle || line.retired) return
    this.#idle.delete(line)
    this.#idle.add(line)
    if (this.#idle.size <= idleLines) return
    const [oldest] = this.#idle as Iterable<Line> as [Line]
    this.#idle.delete(oldest)
    this.#lines.delete(oldest.key)
    oldest.retired = true
    this.#number = Math.max(this.#number, oldest.state.number)
    const { past } = oldest.leases
    if (past) this.#pasts.keep(oldest.key, past)
    if (oldest.looks.observer.size) this.#observers.set(oldest.key, oldest.looks.observer)
    const [first] = this.#observers.keys()
    if (this.#observers.size > observers && first !== undefined) this.#observers.delete(first)
  }

  /** What a dropped line had observed of a key's holders: refusals count as looks, even if a caller tries many names in turn. */
  takeObserver(key: string): Observer {
    const observer = this.#observers.get(key) ?? new Observer()
    this.#observers.delete(key)
    return observer
  }
}
