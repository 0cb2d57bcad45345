import { hostname } from 'node:os'
import { basename } from 'node:path'
import { type HeldLock, LockError, type Store } from '../../index.ts'
import { systemClock } from '../../locks/clock.ts'
import { storedName } from '../../protocol/index.ts'
import type { Common } from '../args.ts'
import { attendance } from '../attendance.ts'
import { Exit, exitCodes, Killed } from '../exit.ts'
import { inWords, say } from '../output.ts'
import { withoutSecret } from '../place.ts'
import { step, tellSteps } from '../steps.ts'
import { closeLocks, identityOf, withStore } from '../store.ts'
import { Child, type Ending } from './child.ts'
import { type Entry, takeEntry } from './entry.ts'
import { Guardian } from './guardian.ts'
import { Keeper, letGo } from './keep.ts'
import { assertNotAbove, variablesOf } from './nesting.ts'
import { Signals } from './signals.ts'
import { locksFor, type TakeOptions, take } from './take.ts'

/** Times in ms. */
export interface RunOptions extends Omit<Common, 'json'>, TakeOptions {
  readonly duration: number
  readonly maxHold?: number
  readonly grace?: number
  readonly onAsk?: NodeJS.Signals
  readonly foreground?: true
  readonly label?: string
  readonly verbose?: true
  readonly progress?: true
}

/** The longest grace, as a share of the duration: the command has ended before another session can have the lock. */
const graceShare = 1 / 5

/** After how long a run that has no lock yet certainly waits for it, in ms. */
const waits = 100

/** Runs a command while holding a lock. @returns the command's exit code. Throws {@link Killed} for its signal, and {@link Exit} otherwise */
export async function run(key: string, command: readonly string[], options: RunOptions): Promise<number> {
  const { store: place, duration } = options
  const grace = options.grace ?? duration * graceShare
  if (grace > duration * graceShare) {
    throw new Exit(exitCodes.failed, `--grace is at most a fifth of --duration, here ${duration * graceShare} ms: shorten it, or lengthen --duration`)
  }
  tellSteps(options.verbose === true)
  if (options.maxHold !== undefined && options.maxHold < 1) throw new Exit(exitCodes.failed, '--max-hold is longer than 0: leave it out for no limit')
  const entry = takeEntry()
  // The shell that records the limit has also turned core files off.
  const quiet = entry.limits.c !== undefined
  const signals = new Signals(entry.ignored, quiet)
  try {
    const ending = await withStore(place, (store) => runIn({ store, signals, entry, grace, key, command }, options), true)
    if (typeof ending === 'number') return ending
    throw new Killed(ending, quiet)
  } finally {
    signals.close()
  }
}

interface Task {
  readonly store: Store
  readonly signals: Signals
  readonly entry: Entry
  /** In ms. */
  readonly grace: number
  readonly key: string
  readonly command: readonly string[]
}

async function runIn({ store, signals, entry, grace, key, command }: Task, options: RunOptions): Promise<Ending> {
  const { store: place, duration, foreground = false, label = `${basename(command[0] ?? '')} (run ${process.pid} on ${hostname()})` } = options
  const identity = identityOf(place)
  await assertNotAbove(store, identity, key)
  const { namespace, name } = storedName(key)
  const verbose = options.verbose || process.stderr.isTTY
  const locks = locksFor(store, namespace, duration, label)
  step(`opened ${withoutSecret(place)}`)
  const since = performance.now()
  let child: Child | undefined
  try {
    for (;;) {
      const guardian = process.platform === 'win32' ? undefined : new Guardian(grace)
      const asked = (): unknown => options.onAsk && child?.signal(options.onAsk)
      const makeChild = (variables: Readonly<Record<string, string>> = {}): Child =>
        new Child(command, { env: { ...process.env, STORELOCK_KEY: name, ...variables }, entry, foreground, grace, guardian })
      const taking = take(locks, name, options, { since, signal: signals.waiting, verbose, asked })
      const { lock, prepared } = await whileWaiting(guardian, makeChild, taking, signals.waiting)
      step(`has ${name}, with token ${lock.token}`)
      const variables = variablesOf(lock, identity, lockTokenOf(store, lock))
      // On Windows nothing can be added to the environment later.
      const started = prepared ?? makeChild(variables)
      child = started
      const takeBack = signals.passTo(started, foreground)
      const ending = await watchOver(lock, started, variables, duration, options.maxHold)
      if (ending !== undefined) return ending
      takeBack()
      if (verbose) say(`${name} was lost before the command started: waiting for it again`)
    }
  } finally {
    await closeLocks(locks)
  }
}

/** Prepares the command's processes while it waits, if that takes long: the command then starts sooner once the lock is there. */
async function whileWaiting(
  guardian: Guardian | undefined,
  makeChild: () => Child,
  taking: Promise<HeldLock>,
  signal: AbortSignal,
): Promise<{ readonly lock: HeldLock; readonly prepared: Child | undefined }> {
  let prepared: Child | undefined
  const prepare = (): void => {
    guardian?.prepare()
    try {
      // Without a guardian, on Windows, the command would start at once.
      prepared = guardian && makeChild()
    } catch {
      // The command fails to start in the same way once the lock is there.
    }
  }
  const timer = setTimeout(prepare, waits)
  try {
    const lock = await taking.finally(() => clearTimeout(timer))
    guardian?.prepare()
    const stillWaits = await prepared?.waits()
    signal.throwIfAborted()
    return { lock, prepared: stillWaits ? prepared : undefined }
  } catch (error) {
    guardian?.dismiss()
    prepared?.dismiss()
    throw error
  }
}

/** A lock server's lockToken for a hold; undefined for other stores. */
const lockTokenOf = (store: Store, lock: HeldLock): string | undefined => (store as { lockToken?: (lock: HeldLock) => string }).lockToken?.(lock)

/** Lets the command start, and ends it if the lock is lost. @returns how the command ended; undefined if the lock was lost before it started */
async function watchOver(
  lock: HeldLock,
  child: Child,
  variables: Readonly<Record<string, string>>,
  duration: number,
  maxHold?: number,
): Promise<Ending | undefined> {
  attendance.hush(true)
  let begun = false
  let killing: Promise<void> | undefined
  const { signal } = lock
  const end = (): void => {
    killing ??= child.end()
  }
  // First the command is ended, then the lock is released, so no other session has the lock while the command runs.
  let tooLong = false
  let callOffLongest = (): void => {}
  const keeper = new Keeper(lock, child.guardian, duration)
  signal.addEventListener('abort', end)
  try {
    await Promise.race([keeper.confirm(), child.ended])
    lock.assertHeld()
    begun = true
    child.go(variables)
    step(`started ${child.name} as process ${child.pid}`)
    if (maxHold !== undefined) {
      const stop = (): void => {
        tooLong = true
        end()
      }
      callOffLongest = systemClock.after(maxHold, stop)
    }
    const ending = await child.ended
    step(`the command ended ${typeof ending === 'number' ? `with exit code ${ending}` : `by ${ending}`}`)
    const struck = await child.guardian?.struck()
    if (signal.aborted) throw signal.reason
    if (tooLong || struck) {
      const why = struck ? 'run was stopped for too long to renew it' : `the command ran for longer than --max-hold ${inWords(maxHold as number)}`
      throw new LockError('lost', `lost ${JSON.stringify(lock.name)}: ${why}`, { reason: 'expired' })
    }
    return ending
  } catch (error) {
    end()
    if (!begun && error instanceof LockError && error.code === 'lost') return undefined
    throw error
  } finally {
    keeper.stop()
    callOffLongest()
    signal.removeEventListener('abort', end)
    await killing
    child.guardian?.dismiss()
    await letGo(lock, duration)
  }
}
