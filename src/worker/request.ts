import { heldLock } from '../locks/held-handle.ts'
import type { Hold } from '../locks/hold.ts'
import type { HeldLock } from '../locks/types.ts'
import type { CallOptions } from './calls.ts'
import type { Link } from './link.ts'

/** Holds the lock while the callback runs here. The call's result or error is the callback's, which never leaves the page. */
export async function holdWhile<T>(
  link: Link,
  name: string,
  options: object,
  own: CallOptions,
  callback: (lock: HeldLock | null) => T,
): Promise<Awaited<T>> {
  let outcome = (): Awaited<T> => undefined as Awaited<T>
  let hasSettled = false
  const run = async (hold: Hold | null): Promise<void> => {
    try {
      const value = await callback(hold && heldLock(hold))
      if (hold && !hold.isHeld()) await link.settle(hold)
      if (hold?.error?.code === 'lost') throw hold.error
      outcome = () => value
    } catch (error) {
      outcome = () => {
        throw error
      }
    }
    hasSettled = true
  }
  try {
    await link.ask('request', name, options, { ...own, callback: run })
  } catch (error) {
    // Once the callback has settled, the lock's fate does not change its result.
    if (!hasSettled) throw error
  }
  return outcome()
}
