import type { HeldLock, LockError } from '../../index.ts'
import { systemClock } from '../../locks/clock.ts'
import { leaseFor } from '../../locks/core/grant.ts'
import { attendance } from '../attendance.ts'
import { atMost } from '../interrupt.ts'
import { say } from '../output.ts'
import { sleep } from '../sleep.ts'
import { step } from '../steps.ts'
import type { Guardian } from './guardian.ts'

/** How many times per duration the lock is renewed and the guardian is told. */
const words = 4

/** The pause before the next attempt to confirm a lock, in ms. */
const retryPause = 100

/** Renews a lock, and tells the guardian how long it is valid. */
export class Keeper {
  readonly #lock: HeldLock
  readonly #guardian: Guardian | undefined
  readonly #duration: number
  #callOff = (): void => {}

  constructor(lock: HeldLock, guardian: Guardian | undefined, duration: number) {
    this.#lock = lock
    this.#guardian = guardian
    this.#duration = duration
    this.#tellLater()
  }

  /** Confirms the lock. If the store fails, tries again for as long as the lock may still be held. */
  async confirm(): Promise<void> {
    for (;;) {
      try {
        await this.#tell()
        return await this.#guardian?.stands()
      } catch (error) {
        if ((error as LockError).code !== 'store') throw error
        await sleep(retryPause)
        this.#lock.assertHeld()
      }
    }
  }

  stop(): void {
    this.#callOff()
  }

  async #tell(): Promise<void> {
    const sent = performance.now()
    await this.#lock.renew()
    this.#guardian?.allow(sent + this.#duration - performance.now())
  }

  #tellLater(): void {
    this.#callOff = systemClock.after(this.#duration / words, () => {
      this.#tellLater()
      this.#tell().catch(() => {})
    })
  }
}

/** Releases a lock. Waits no longer than its lease, since the lock has ended then. */
export async function letGo(lock: HeldLock, duration: number): Promise<void> {
  attendance.hush(false)
  try {
    if (await atMost(leaseFor(duration), lock.release())) return step(`released ${lock.name}`)
    say(`the store was busy for so long that ${lock.name} ended with its lease`)
  } catch (error) {
    say(`the lock could not be released, and ends with its lease: ${(error as Error).message}`)
  }
}
