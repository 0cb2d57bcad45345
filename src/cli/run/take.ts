import { type AcquireOptions, type Beacon, createLocks, type HeldLock, type Json, LockError, type Locks, type Store } from '../../index.ts'
import { storeWith } from '../../store.ts'
import { attendance } from '../attendance.ts'
import { Exit, exitCodes } from '../exit.ts'
import { unlessAborted } from '../interrupt.ts'
import { say } from '../output.ts'
import { showProgress } from '../progress.ts'
import { withReason } from '../refusal.ts'
import { throughRestarts } from '../restarts.ts'
import { step } from '../steps.ts'
import { reportHolders } from './report.ts'

/** The options for getting a lock. Times in ms. */
export interface TakeOptions {
  readonly timeout?: number
  readonly nonblock?: true
  readonly ifNoQueue?: true
  /** The exit code if the lock is not free. */
  readonly conflictExitCode?: number
  readonly shared?: true
  /** How many may hold the lock together. */
  readonly limit?: number
  /** Whether to show the progress of the wait. */
  readonly progress?: true
  readonly stealAfterAsk?: number
  /** Goes with `stealAfterAsk`. */
  readonly message?: string
}

/** A store that watches other sessions' beacons but raises none. */
const withoutOwnBeacon = (store: Store): Store =>
  storeWith(store, {
    beacon: store.beacon && {
      raise: () => Promise.reject(new Error('a run has no beacon')),
      watch: (address, signal) => (store.beacon as Beacon).watch(address, signal),
      isOut: (address) => store.beacon?.isOut?.(address) ?? Promise.resolve(false),
    },
  })

/**
 * The locks of a process that holds a lock for another process: a command, or a shell. The death of the first does not prove the death of the other,
 * so it raises no beacon, and only the end of its lease frees the lock.
 */
export const locksFor = (store: Store, namespace: string, duration: number, label: string): Locks =>
  createLocks({
    store: withoutOwnBeacon(store),
    namespace,
    duration,
    label,
    onWarning: ({ type, error }) => type !== 'degraded' && say(error.message),
  })

/** How to take a lock, besides the options. */
export interface Taking {
  /** When the wait began, on the clock of `performance.now()`. Default: now. */
  readonly since?: number
  readonly signal: AbortSignal
  /** Whether to report the lock's holders. */
  readonly verbose: boolean
  readonly metadata?: Json
  /** Called when another session asks for the lock. */
  readonly asked?: () => unknown
}

/** How long `--nonblock` waits for a busy or silent store, in ms: until this process is half a second old, so that a slow start counts. */
const soon = (): number => Math.max(100, 500 - performance.now())

/** Gets a lock. @throws Exit if it is not free */
export async function take(
  locks: Locks,
  name: string,
  options: TakeOptions,
  { since = performance.now(), signal, verbose, metadata, asked }: Taking,
): Promise<HeldLock> {
  attendance.hush(false)
  step(`asked for ${name}`)
  const { nonblock, ifNoQueue = false, timeout, shared, limit, stealAfterAsk, message = '', conflictExitCode } = options
  const wish: AcquireOptions = {
    mode: shared ? 'shared' : 'exclusive',
    ...(limit !== undefined && { limit }),
    ...(metadata !== undefined && { metadata }),
    onReleaseRequested: (ask, { label }) => {
      say(`${label ?? 'somebody'} asks for ${name}: ${text(ask)}`)
      asked?.()
    },
  }
  if (nonblock) {
    const busy = (why: string): Exit => new Exit(conflictExitCode ?? exitCodes.no, verbose ? `${name} may be held: the store is busy, ${why}` : '')
    const lock = await attendance.within(soon(), unlessAborted(signal, locks.tryAcquire(name, wish)), busy)
    if (lock) return lock
    throw new Exit(conflictExitCode ?? exitCodes.no, verbose ? `${name} is held` : '')
  }
  const stopReport = options.progress ? showProgress(locks, name) : verbose ? reportHolders(locks, name) : () => {}
  try {
    return await throughRestarts({ timeout, since, signal }, (timeout) =>
      locks.acquire(name, {
        ...wish,
        ifNoQueue,
        signal,
        ...(timeout !== undefined && { timeout }),
        ...(stealAfterAsk !== undefined && { ask: message, steal: true, grace: stealAfterAsk }),
      }),
    )
  } catch (error) {
    const { code } = error as LockError
    if (ifNoQueue && code === 'held' && timeout !== 0) throw new Exit(conflictExitCode ?? exitCodes.no, verbose ? (error as LockError).message : '')
    if (error instanceof LockError && (code === 'timeout' || code === 'held')) {
      // The lock's own error says less of the holders, and knows only the rest of the timeout.
      const what = error.cause ? error.message : `${JSON.stringify(name)} ${timeout ? `was not free within ${timeout} ms` : 'is held or waited for'}`
      throw new Exit(conflictExitCode ?? exitCodes.timeout, await withReason(what, locks, name))
    }
    throw error
  } finally {
    stopReport()
  }
}

const text = (ask: Json): string => (typeof ask === 'string' ? ask : JSON.stringify(ask))
