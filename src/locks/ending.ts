import type { Home } from './home.ts'

/** What has to stop when a session ends. */
export class Ending {
  readonly #session: Pick<Home, 'clock'>
  readonly #stops = new Set<() => void>()
  /** How to end each pause early. */
  readonly #pauses = new Set<() => void>()

  constructor(session: Pick<Home, 'clock'>) {
    this.#session = session
  }

  /** Stops something when the session ends. @returns how to stop it earlier */
  also(stop: () => void): () => void {
    this.#stops.add(stop)
    return () => {
      if (this.#stops.delete(stop)) stop()
    }
  }

  /** Resolves with true after `ms`, or with false as soon as the present session ends. */
  pause(ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (stands: boolean): void => {
        this.#pauses.delete(end)
        callOff()
        resolve(stands)
      }
      const end = (): void => settle(false)
      const callOff = this.#session.clock.after(ms, () => settle(true), true)
      this.#pauses.add(end)
    })
  }

  /** The session ends. @param renew gives these locks their next session, before the pauses end */
  run(renew: () => void): void {
    for (const stop of this.#stops) stop()
    this.#stops.clear()
    renew()
    for (const end of this.#pauses) end()
  }
}
