import { fstatSync } from 'node:fs'
import { hostname } from 'node:os'
import type { HeldLock, Store } from '../../index.ts'
import { storedName } from '../../protocol/index.ts'
import { visible } from '../../server/visible.ts'
import type { Common } from '../args.ts'
import { Killed } from '../exit.ts'
import { closeLocks, identityOf, withStore } from '../store.ts'
import { takeEntry } from './entry.ts'
import { Guardian } from './guardian.ts'
import { Keeper, letGo } from './keep.ts'
import { assertNotAbove } from './nesting.ts'
import { isThere, startOf } from './process.ts'
import { locksFor, type TakeOptions, take } from './take.ts'

/** Times in ms. */
export interface HoldOptions extends Omit<Common, 'json'>, TakeOptions {
  readonly duration: number
  readonly onLost: NodeJS.Signals
  readonly label?: string
  readonly verbose?: true
  /** Holds the lock for as long as this process lives, instead of as long as some process can read the output. */
  readonly pid?: number
}

/** The metadata of a lock that is held for a shell, by which `unlock` finds it. */
export interface HeldFor {
  readonly shell: number
  /** The process that holds it. */
  readonly holder: number
  readonly host: string
  /** By {@link startOf}. */
  readonly start: string | null
}

/** How often to check whether the shell is still there, in ms. */
const look = 100

/** Holds a lock for a shell: until no process can read our output any more, or until the shell ends. Prints a line when it has the lock. */
export async function hold(key: string, options: HoldOptions): Promise<void> {
  takeEntry()
  const shell = options.pid ?? process.ppid
  const start = startOf(shell)
  const stop = new AbortController()
  // The shell gets these signals, too, and may go on. When it ends, so does the hold.
  if (options.pid !== undefined || isPipe()) for (const signal of ['SIGINT', 'SIGQUIT', 'SIGHUP'] as const) process.on(signal, () => {})
  else process.once('SIGINT', () => stop.abort(new Killed('SIGINT')))
  const term = (): void => stop.abort(new Killed('SIGTERM'))
  process.once('SIGTERM', term)
  const watching = setInterval(() => isThere(shell, start) || stop.abort(new Killed('SIGTERM')), look)
  if (options.pid !== undefined) {
    // `lock` waits for the line. If `lock` is interrupted, this wait ends too.
    process.stdin.on('end', () => stop.abort(new Killed('SIGTERM'))).resume()
  }
  try {
    await withStore(options.store, (store) => holdIn(store, key, options, shell, stop, () => clearInterval(watching)), true)
  } finally {
    clearInterval(watching)
    process.off('SIGTERM', term)
    process.stdin.destroy()
  }
}

async function holdIn(store: Store, key: string, options: HoldOptions, shell: number, stop: AbortController, unwatch: () => void): Promise<void> {
  const { store: place, duration, onLost, label = `hold for ${shell} (${process.pid} on ${hostname()})` } = options
  const identity = identityOf(place)
  await assertNotAbove(store, identity, key)
  const { namespace, name } = storedName(key)
  const locks = locksFor(store, namespace, duration, label)
  const verbose = options.verbose || process.stderr.isTTY
  const metadata = { shell, holder: process.pid, host: hostname(), start: startOf(process.pid) ?? null } satisfies HeldFor
  try {
    const lock = await take(locks, name, options, { signal: stop.signal, verbose, metadata })
    const guardian = process.platform === 'win32' ? undefined : new Guardian(duration / 5, [onLost, onLost])
    guardian?.aim(shell)
    const keeper = new Keeper(lock, guardian, duration)
    try {
      await keeper.confirm()
      stop.signal.throwIfAborted()
      await untilLetGo(lock, options, stop.signal, unwatch)
    } catch (error) {
      if (lock.signal.aborted) tell(shell, onLost)
      throw error
    } finally {
      keeper.stop()
      guardian?.dismiss()
      await letGo(lock, duration)
    }
  } finally {
    await closeLocks(locks)
  }
}

/** Resolves when the lock has to be released. Rejects if it is lost. */
async function untilLetGo(lock: HeldLock, { pid }: HoldOptions, stopped: AbortSignal, unwatch: () => void): Promise<void> {
  const over = new Promise<void>((resolve, reject) => {
    lock.signal.addEventListener('abort', () => reject(lock.signal.reason))
    stopped.addEventListener('abort', () => (stopped.reason instanceof Killed && pid === undefined && !isPipe() ? reject(stopped.reason) : resolve()))
  })
  const line = `held ${visible(lock.name)} ${lock.token}\n`
  if (pid !== undefined || !isPipe()) {
    process.stdin.removeAllListeners('end')
    process.stdout.write(line)
    return await over
  }
  // Children of the shell may have the other end open, too, as they would have flock's descriptor, so the lock may outlive the shell.
  unwatch()
  const stdout = new AbortController()
  await Promise.race([over, untilUnread(line, stdout.signal)]).finally(() => stdout.abort())
}

const isPipe = (): boolean => {
  const kind = fstatSync(1)
  return kind.isFIFO() || kind.isSocket()
}

/** How often to check whether some process can still read the output, in ms. */
const knock = 20

/**
 * Writes a line to the output, and resolves when no process can read the output any more. Only a write reveals that, so empty lines follow, and pause
 * while the pipe is full.
 */
function untilUnread(line: string, over: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const { stdout } = process
    const timer = setInterval(() => stdout.writableNeedDrain || stdout.write('\n'), knock)
    over.addEventListener('abort', () => clearInterval(timer))
    stdout.removeAllListeners('error')
    stdout.on('error', () => resolve())
    stdout.write(line)
  })
}

function tell(shell: number, signal: NodeJS.Signals): void {
  try {
    process.kill(shell, signal)
  } catch {
    // The shell has ended.
  }
}
