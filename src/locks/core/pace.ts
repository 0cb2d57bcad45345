/** The shortest pause between two looks, in ms, for each place in the queue. */
export const firstPause = 5
/** With this many places in front or fewer, the lock may come at any moment. */
const near = 2

/**
 * How soon waiters look again: after pauses that grow while nothing changes. Waiters further back look again when half of those in front have
 * probably been served, so that all waiters together look a few times per grant, however many wait.
 */
export class Pace {
  #doublings = 0
  /** How many places were in front of them when the lock last changed hands, and when that was seen. */
  #places = 0
  #movedAt = 0
  /** How long each place took then, in ms. */
  #perPlace = 0

  /** A wait begins. */
  begin(): void {
    this.#places = this.#perPlace = this.#doublings = 0
  }

  /** The lock changed hands: the pauses are short again. @param places how many places are in front now */
  restart(now: number, places: number): void {
    this.#doublings = 0
    if (places < this.#places) this.#perPlace = (now - this.#movedAt) / (this.#places - places)
    this.#places = places
    this.#movedAt = now
  }

  /** The next pause, in ms. @param random from 0 to 1 */
  next(places: number, random: number): number {
    const shortest = firstPause * (places + 1) + (this.#perPlace * Math.max(0, places - near)) / 2
    return shortest * 2 ** this.#doublings++ * (0.75 + random / 2)
  }
}
