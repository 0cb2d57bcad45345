import { hostname, userInfo } from 'node:os'
import type { LockError } from '../index.ts'
import type { Common } from './args.ts'
import { Exit, exitCodes } from './exit.ts'
import { untilSignal } from './interrupt.ts'
import { assertSomeoneHolds } from './near.ts'
import { print, printJson } from './output.ts'
import { withReason } from './refusal.ts'
import { withLock } from './store.ts'

/** Times in ms. */
export interface AskOptions extends Common {
  readonly message: string
  readonly timeout: number
}

/** Asks the holders of a lock to release it, and waits for its own turn. Rejects with the exit code for a timeout if they do not release in time. */
export async function ask(key: string, { store: place, message, timeout, json }: AskOptions): Promise<void> {
  await assertSomeoneHolds(place, key)
  const use = (signal: AbortSignal) =>
    withLock(
      place,
      key,
      async (locks, name) => {
        try {
          const lock = await locks.acquire(name, { ask: message, timeout, signal })
          await lock.release()
        } catch (error) {
          if ((error as LockError).code !== 'timeout') throw error
          throw new Exit(exitCodes.timeout, await withReason(`${JSON.stringify(name)} was not free within ${timeout} ms`, locks, name))
        }
      },
      { label: `ask (${userInfo().username} on ${hostname()})` },
    )
  await untilSignal(use)
  if (json) printJson({ key, free: true })
  else print(`${key} was released`)
}
