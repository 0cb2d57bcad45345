import type { LockView } from '../protocol/index.ts'

/** Places that one batch may come to have: they count from the time that they are asked for. */
export interface Promised {
  /** One more, unless that is more than so many in all. */
  take(most: number): boolean
  /** The batch is done: what it has now counts by itself. */
  settle(): void
}

/** The places in queues that clients of this server have, so that none has too many. */
export class Waits {
  readonly #counts = new Map<string, number>()
  readonly #promised = new Map<string, number>()
  readonly #places = new Map<string, Map<string, string>>()

  /** How many places an owner has. */
  count(owner: string): number {
    return this.#counts.get(owner) ?? 0
  }

  promise(owner: string): Promised {
    let taken = 0
    const all = (): number => this.#promised.get(owner) ?? 0
    return {
      take: (most) => {
        if (this.count(owner) + all() >= most) return false
        taken++
        this.#promised.set(owner, all() + 1)
        return true
      },
      settle: () => {
        const left = all() - taken
        if (left) this.#promised.set(owner, left)
        else this.#promised.delete(owner)
      },
    }
  }

  get total(): number {
    let sum = 0
    for (const count of this.#counts.values()) sum += count
    return sum
  }

  add(key: string, session: string, number: number, owner: string): void {
    const places = this.#places.get(key) ?? new Map<string, string>()
    this.#places.set(key, places)
    const place = nameOf(session, number)
    if (places.has(place)) return
    places.set(place, owner)
    this.#counts.set(owner, this.count(owner) + 1)
  }

  drop(key: string, session: string, number: number): void {
    const places = this.#places.get(key)
    if (places) this.#drop(key, places, nameOf(session, number))
  }

  /** Drops the places that a record does not show any more. */
  compare(key: string, queue: LockView['queue']): void {
    const places = this.#places.get(key)
    if (!places) return
    for (const place of [...places.keys()]) {
      const [number, session] = partsOf(place)
      if (!queue.some((run) => run.session === session && run.from <= number && number <= run.to)) this.#drop(key, places, place)
    }
  }

  #drop(key: string, places: Map<string, string>, place: string): void {
    const owner = places.get(place)
    if (owner === undefined) return
    places.delete(place)
    if (!places.size) this.#places.delete(key)
    const left = this.count(owner) - 1
    if (left) this.#counts.set(owner, left)
    else this.#counts.delete(owner)
  }
}

const nameOf = (session: string, number: number): string => `${number} ${session}`

function partsOf(place: string): [number, string] {
  const gap = place.indexOf(' ')
  return [Number(place.slice(0, gap)), place.slice(gap + 1)]
}
