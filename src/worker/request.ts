import type { Hold } from '../locks/hold.ts'
import type { HeldLock } from '../locks/types.ts'
import type { CallOptions, Link } from './link.ts'

/** Holds the lock while the callback runs here. Its result, or its error, is the call's; they never leave the page. */
export async function holdWhile<T>(
  link: Link,
  name: string,
  options: object,
  own: CallOptions,
  callback: ((lock: HeldLock | null) => T) | undefined,
): Promise<Awaited<T>> {
  let outcome = (): Awaited<T> => undefined as Awaited<T>
  /** Whether the worker can say nothing that would change it. */
  let isSure = false
  const run = async (hold: Hold | null): Promise<void> => {
    try {
      const value = await (callback as (lock: HeldLock | null) => T)(hold)
      if (hold?.error?.code === 'lost') throw hold.error
      isSure = !hold || hold.ended || hold.isHeld()
      outcome = () => value
    } catch (error) {
      isSure = true
      outcome = () => {
        throw error
      }
    }
  }
  try {
    await link.ask('request', name, options, { ...own, callback: callback && run })
  } catch (error) {
    if (!isSure) throw error
  }
  return outcome()
}
