import type { Final, Write } from '../history.ts'
import { lifeOf } from '../history.ts'
import type { Sight } from './page.ts'

/** The data that was read in one life of the database. */
interface Life {
  readonly log: Write[]
  rows: readonly Write[]
  place: number
  /** When the last reading began. */
  readAt: number
}

/** The data that was read in each life of a database that is wiped now and then. */
export class Archive {
  readonly #now: () => number
  readonly #look: (life: string, place: number) => Promise<Sight>
  readonly #lives = new Map<string, Life>()
  #present = ''
  #reading: Promise<boolean> = Promise.resolve(true)

  constructor(now: () => number, look: (life: string, place: number) => Promise<Sight>) {
    this.#now = now
    this.#look = look
  }

  /** Reads new data. Resolves with whether this worked: the database may have been deleted meanwhile. */
  read(): Promise<boolean> {
    this.#reading = this.#reading.then(() =>
      this.#read().then(
        () => true,
        () => false,
      ),
    )
    return this.#reading
  }

  async #read(): Promise<void> {
    const readAt = this.#now()
    const { life, rows, log, place } = await this.#look(this.#present, this.#lives.get(this.#present)?.place ?? 0)
    const known = this.#lives.get(life) ?? { log: [], rows, place, readAt }
    this.#lives.set(life, known)
    this.#present = life
    known.log.push(...log)
    Object.assign(known, { rows, place, readAt })
  }

  get written(): number {
    return [...this.#lives.values()].reduce((sum, { log }) => sum + log.length, 0)
  }

  /** @param places all keys of the history */
  final(places: Iterable<string>): Final {
    const wiped: Record<string, number> = {}
    for (const place of places) {
      const life = lifeOf(place)
      // A life that was never read was wiped before the first reading.
      if (life !== this.#present) wiped[place] = this.#lives.get(life)?.readAt ?? 0
    }
    return { rows: this.#lives.get(this.#present)?.rows ?? [], log: [...this.#lives.values()].flatMap(({ log }) => log), wiped }
  }
}
