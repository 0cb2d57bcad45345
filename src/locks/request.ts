import { checkName, LockError } from '../protocol/index.ts'
import { heldLock } from './held-handle.ts'
import type { Hold } from './hold.ts'
import type { Home, Settings } from './home.ts'
import type { Line } from './line.ts'
import { checkWish } from './options.ts'
import { isGone } from './page.ts'
import { acquire, askNow, seek } from './seek.ts'
import type { HeldLock, RequestOptions } from './types.ts'
import type { Wish } from './wish.ts'

// Read here, since Chromium makes it on first use, and cannot make it any more once its frame is gone.
const { DOMException } = globalThis

/** Checks the options of a Web-Locks-shaped call, in the order and with the errors of the specification. */
export function checkRequest(settings: Settings, name: string, options: RequestOptions): Wish {
  assertFullyActive()
  const { mode, limit, ifAvailable, ifNoQueue, steal, signal, ask } = options
  if (name.startsWith('-')) throw notSupported('a name that starts with "-" is reserved')
  if (steal && ifAvailable) throw contradiction('steal and ifAvailable')
  if (steal && mode === 'shared') throw contradiction("steal and mode 'shared'")
  if (limit !== undefined && (steal || mode === 'shared')) throw contradiction(`limit and ${steal ? 'steal' : "mode 'shared'"}`)
  // With `ask`, a request that steals waits for its grace to end, and may be cancelled until then.
  if (signal && steal && ask === undefined) throw contradiction('signal and steal')
  if (ifNoQueue && ifAvailable) throw contradiction('ifNoQueue and ifAvailable')
  if (signal && ifAvailable) throw contradiction('signal and ifAvailable')
  if (ask !== undefined && ifAvailable) throw contradiction('ask and ifAvailable')
  signal?.throwIfAborted()
  checkName(settings.policy, name, settings.label)
  return { ...checkWish(settings, options), ifAvailable }
}

const notSupported = (message: string): DOMException => new DOMException(message, 'NotSupportedError')
const contradiction = (options: string): DOMException => notSupported(`${options} contradict each other`)

/** A document that is gone has no locks. @throws DOMException `InvalidStateError` if this one is */
export function assertFullyActive(): void {
  if (isGone()) throw new DOMException('this document is not fully active', 'InvalidStateError')
}

/** Waits for the store. If the origin is not allowed to use storage, rejects with the error that the specification gives: `SecurityError`. */
export async function asSpecified<T>(promise: Promise<T>): Promise<T> {
  try {
    return await promise
  } catch (error) {
    for (let cause = error; cause instanceof LockError; cause = cause.cause) {
      if ((cause.cause as Error | undefined)?.name === 'SecurityError') throw new DOMException(cause.message, 'SecurityError')
    }
    throw error
  }
}

/** Holds the lock while the callback runs; the call's result or error is the callback's. */
export async function holdWhile<T>(session: Home, line: Line, wish: Wish, callback: (lock: HeldLock | null) => T): Promise<Awaited<T>> {
  const hold = await asSpecified(wish.ifAvailable ? askNow(line, wish) : wish.ifNoQueue ? seek(session, line, wish) : acquire(session, line, wish))
  if (!hold) return await callback(null)
  try {
    // Until the callback runs, the wait can be cancelled.
    wish.signal?.throwIfAborted()
    const result = await Promise.race([stolen(hold), run(hold, callback)])
    hold.expireIfDue()
    if (hold.error?.code === 'lost') throw hold.error
    return result
  } finally {
    // The result matters more than a failed release, which is retried in the background.
    await hold.release().catch(() => {})
  }
}

const run = async <T>(hold: Hold, callback: (lock: HeldLock) => T): Promise<Awaited<T>> => await callback(heldLock(hold))

/** Rejects when another request steals the lock while it is held: the specification does not wait for the callback then. */
const stolen = (hold: Hold): Promise<never> =>
  new Promise((_, reject) => {
    hold.whenTaken((error) => reject(new DOMException(error.message, 'AbortError')))
  })
