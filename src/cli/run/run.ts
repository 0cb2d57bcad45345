import { hostname } from 'node:os'
import { basename } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type AcquireOptions, type Beacon, createLocks, type HeldLock, type Json, LockError, type Locks, type Store } from '../../index.ts'
import { leaseFor } from '../../locks/core/grant.ts'
import { storedName } from '../../protocol/index.ts'
import type { Common } from '../args.ts'
import { Exit, exitCodes } from '../exit.ts'
import { atMost, unlessAborted } from '../interrupt.ts'
import { inWords, say } from '../output.ts'
import { closeLocks, identityOf, withStore } from '../store.ts'
import { Child } from './child.ts'
import { assertNotAbove, environmentOf } from './nesting.ts'
import { reportHolders } from './report.ts'
import { Signals } from './signals.ts'

/** Times in ms. */
export interface RunOptions extends Omit<Common, 'json'> {
  readonly timeout?: number
  readonly nonblock?: true
  readonly ifNoQueue?: true
  readonly conflictExitCode: number
  readonly shared?: true
  readonly limit?: number
  readonly duration: number
  readonly maxHold?: number
  readonly grace?: number
  readonly stealAfterAsk?: number
  readonly message: string
  readonly onAsk?: NodeJS.Signals
  readonly foreground?: true
  readonly label?: string
  readonly verbose?: true
}

/** The share of the duration in which a command is ended: that is done before anyone else can have the lock. */
const graceShare = 1 / 5

/** Runs a command while holding a lock. @returns the command's exit code. Throws {@link Exit} otherwise */
export async function run(key: string, command: readonly string[], options: RunOptions): Promise<number> {
  const { store: place, duration } = options
  const grace = options.grace ?? duration * graceShare
  if (grace > duration * graceShare) {
    throw new Exit(exitCodes.failed, `--grace is at most a fifth of --duration, here ${duration * graceShare} ms: shorten it, or lengthen --duration`)
  }
  const { maxHold = 1 } = options
  // Node's timers cannot measure longer times.
  if (maxHold < 1 || maxHold >= 2 ** 31)
    throw new Exit(exitCodes.failed, '--max-hold is longer than 0 and shorter than 24d: leave it out for no limit')
  const signals = new Signals()
  try {
    return await withStore(place, (store) => runIn(store, signals, grace, key, command, options), true)
  } finally {
    signals.close()
  }
}

async function runIn(store: Store, signals: Signals, grace: number, key: string, command: readonly string[], options: RunOptions): Promise<number> {
  const { store: place, duration, foreground = false, label = `${basename(command[0] ?? '')} (run ${process.pid} on ${hostname()})` } = options
  const identity = identityOf(place)
  await assertNotAbove(store, identity, key)
  const { namespace, name } = storedName(key)
  const verbose = options.verbose || process.stderr.isTTY
  // That this process is dead does not prove that its command is: it raises no beacon, and only its lease ends the lock.
  const locks = createLocks({
    store: withoutOwnBeacon(store),
    namespace,
    duration,
    label,
    onWarning: ({ type, error }) => type !== 'degraded' && say(error.message),
  })
  const begun = performance.now()
  let child: Child | undefined
  try {
    for (;;) {
      const asked = (): unknown => options.onAsk && child?.signal(options.onAsk)
      const lock = await take(locks, name, leftOf(options, begun), signals.waiting, verbose, asked)
      const started = new Child(command, { env: environmentOf(lock, identity, lockTokenOf(store, lock)), foreground, grace })
      child = started
      const takeBack = signals.passTo(started, foreground)
      const code = await watchOver(lock, started, duration, options.maxHold)
      if (code !== undefined) return code
      takeBack()
      if (verbose) say(`${name} was lost before the command started: waiting for it again`)
    }
  } finally {
    await closeLocks(locks)
  }
}

/** The rest of the timeout of a wait that began at `begun`. */
const leftOf = (options: RunOptions, begun: number): RunOptions =>
  options.timeout === undefined ? options : { ...options, timeout: Math.max(0, options.timeout - (performance.now() - begun)) }

/** A store whose beacons are watched but not raised. Written out, since a spread would lose what is on a prototype. */
const withoutOwnBeacon = (store: Store): Store => ({
  apply: (commands) => store.apply(commands),
  read: (key, reader) => store.read(key, reader),
  ...(store.rows && { rows: (sessions, key) => (store.rows as NonNullable<Store['rows']>)(sessions, key) }),
  list: (prefix, part) => store.list(prefix, part),
  ...(store.page && { page: (prefix, after, limit) => (store.page as NonNullable<Store['page']>)(prefix, after, limit) }),
  channel: store.channel,
  beacon: store.beacon && {
    raise: () => Promise.reject(new Error('a run has no beacon')),
    watch: (address, signal) => (store.beacon as Beacon).watch(address, signal),
    isOut: (address) => store.beacon?.isOut?.(address) ?? Promise.resolve(false),
  },
  spansMachines: store.spansMachines,
  onDegraded: (listener) => store.onDegraded?.(listener) ?? (() => {}),
  isBusy: () => store.isBusy?.() === true,
  close: () => store.close(),
})

/** A lock server's lockToken for a hold; other stores have none. */
const lockTokenOf = (store: Store, lock: HeldLock): string | undefined => (store as { lockToken?: (lock: HeldLock) => string }).lockToken?.(lock)

async function take(locks: Locks, name: string, options: RunOptions, signal: AbortSignal, verbose: boolean, asked: () => unknown): Promise<HeldLock> {
  const { nonblock, ifNoQueue = false, timeout, shared, limit, stealAfterAsk, message, conflictExitCode } = options
  const wish: AcquireOptions = {
    mode: shared ? 'shared' : 'exclusive',
    ...(limit !== undefined && { limit }),
    onReleaseRequested: (ask, { label }) => {
      say(`${label ?? 'somebody'} asks for ${name}: ${text(ask)}`)
      asked()
    },
  }
  if (nonblock) {
    const lock = await unlessAborted(signal, locks.tryAcquire(name, wish))
    if (lock) return lock
    throw new Exit(conflictExitCode, verbose ? `${name} is held` : '')
  }
  const stopReport = verbose ? reportHolders(locks, name) : () => {}
  try {
    return await locks.acquire(name, {
      ...wish,
      ifNoQueue,
      signal,
      ...(timeout !== undefined && { timeout }),
      ...(stealAfterAsk !== undefined && { ask: message, steal: true, grace: stealAfterAsk }),
    })
  } catch (error) {
    const { code } = error as LockError
    if (ifNoQueue && code === 'held' && timeout !== 0) throw new Exit(conflictExitCode, verbose ? (error as LockError).message : '')
    if (error instanceof LockError && (code === 'timeout' || code === 'held')) throw new Exit(exitCodes.timeout, error.message)
    throw error
  } finally {
    stopReport()
  }
}

const text = (ask: Json): string => (typeof ask === 'string' ? ask : JSON.stringify(ask))

/** How many times per duration the guardian is told of renewals. */
const words = 4

/** The pause before a lock that could not be confirmed is confirmed again, in ms. */
const retryPause = 100

/** Lets the command start, and ends it if the lock is lost. @returns its exit code; undefined if the lock was lost before the command started */
async function watchOver(lock: HeldLock, child: Child, duration: number, maxHold?: number): Promise<number | undefined> {
  let begun = false
  const tellGuardian = async (): Promise<void> => {
    const sent = performance.now()
    await lock.renew()
    child.guardian?.allow(sent + duration - performance.now())
  }
  /** Confirms the lock before the command starts. A store that fails is asked again for as long as the lock may stand: nothing is lost by it yet. */
  const confirm = async (): Promise<void> => {
    for (;;) {
      try {
        return await tellGuardian()
      } catch (error) {
        if ((error as LockError).code !== 'store') throw error
        await sleep(retryPause)
        lock.assertHeld()
      }
    }
  }
  let ending: Promise<void> | undefined
  const { signal } = lock
  const end = (): void => {
    ending ??= child.end()
  }
  // The command is ended first, and then the lock is released: nobody else has it meanwhile.
  let tooLong = false
  let longest: NodeJS.Timeout | undefined
  const timer = setInterval(() => tellGuardian().catch(() => {}), duration / words)
  signal.addEventListener('abort', end)
  try {
    await Promise.race([confirm(), child.ended])
    lock.assertHeld()
    begun = true
    child.go()
    if (maxHold !== undefined) {
      const stop = (): void => {
        tooLong = true
        end()
      }
      longest = setTimeout(stop, maxHold)
    }
    const code = await child.ended
    if (signal.aborted) throw signal.reason
    if (tooLong) {
      const why = `lost ${JSON.stringify(lock.name)}: the command ran for longer than --max-hold ${inWords(maxHold as number)}`
      throw new LockError('lost', why, { reason: 'expired' })
    }
    return code
  } catch (error) {
    end()
    if (!begun && error instanceof LockError && error.code === 'lost') return undefined
    throw error
  } finally {
    clearInterval(timer)
    clearTimeout(longest)
    signal.removeEventListener('abort', end)
    await ending
    child.guardian?.dismiss()
    await letGo(lock, duration)
  }
}

/** After the lease there is nothing left to release. */
async function letGo(lock: HeldLock, duration: number): Promise<void> {
  try {
    if (await atMost(leaseFor(duration), lock.release())) return
    say(`the store was busy for so long that ${lock.name} ended with its lease`)
  } catch (error) {
    say(`the lock could not be released, and ends with its lease: ${(error as Error).message}`)
  }
}
