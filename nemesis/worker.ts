import type { HeldLock, Locks } from 'storelock'
import type { Fenced } from 'storelock/protocol'
import type { Note, Write } from './history.ts'
import { between, pick, type Random } from './random.ts'

export const keys = ['a', 'b', 'c'] as const

/** A lock that protects nothing, for the other calls, which must always settle too. */
const spare = 'spare'
/** The shortest and the longest pause between two such calls, in ms. */
const rests = [200, 1_000] as const

/** The longest pause of a worker before every other write, in ms, and the most writes that it makes under one hold. */
const longestPause = 2
const mostWrites = 80

/**
 * The point where an ordered fault strikes: between the check of the lock and the write, with everything written but not committed, or after the
 * commit but before the worker records it.
 */
export type Point = 'before the write' | 'before the commit' | 'after the commit'

/** A fault that strikes a worker at a point. Times in ms. */
export type Strike = { readonly type: 'hang'; readonly point: Point; readonly ms: number } | { readonly type: 'die'; readonly point: Point }

export type Order =
  | Strike
  /** Blocks the writes of all other workers for this long. */
  | { readonly type: 'occupy'; readonly ms: number }
  /** Sets its wall clock this far from the true time. */
  | { readonly type: 'shift'; readonly ms: number }
  /** Clears the shared database by a response of the site, deletes it, or upgrades it. */
  | { readonly type: 'log out' | 'delete' | 'upgrade' }
  | { readonly type: 'finish' }

/** The parts of a worker that a process and a page implement differently. */
export interface Ground {
  readonly locks: Locks
  /** In ms, on a monotonic clock that all workers share. */
  now(): number
  /** The history's name for a key of the locks' store in its present life. */
  place(key: string): string
  /** Resolves when the note would survive the death of the worker. */
  note(note: Note): void | Promise<void>
  /** The last write of a lock's key. */
  read(lock: Fenced): Promise<Write | undefined>
  /**
   * Writes if `lock` is held; without one, in any case. Calls `strike`, which may take its time, when everything is written and nothing committed.
   */
  write(write: Write, lock: Fenced | undefined): Promise<void>
  /** Carries out the order for this point, if there is one. */
  strike(point: Point): void | Promise<void>
}

export interface Work {
  readonly name: string
  /** Whether writes go through the store's fence; otherwise the lock is checked first. */
  readonly fenced: boolean
  readonly random: Random
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Does read-modify-write under locks, on changing keys. Resolves once `signal` has aborted and every call has settled. */
export async function work({ name, fenced, random }: Work, ground: Ground, signal: AbortSignal): Promise<void> {
  const { locks } = ground
  let made = 0

  /** @param blind used in place of the lock, if only the store should check @returns whether the worker knows that the write was committed */
  async function update(lock: HeldLock, write: Write, blind: Fenced | undefined): Promise<boolean> {
    const { id } = write
    await ground.note({ type: 'invoke', write })
    // Without a fence, a holder can do no more than this. A fault after the check goes unnoticed.
    if (!fenced && !lock.isHeld()) {
      await ground.note({ type: 'fail', id, blind: blind !== undefined })
      return false
    }
    await ground.strike('before the write')
    try {
      await ground.write(write, fenced ? (blind ?? lock) : undefined)
    } catch (error) {
      const refused = ['lost', 'not-held'].includes(codeOf(error))
      await ground.note(refused ? { type: 'fail', id, blind: blind !== undefined } : { type: 'info', id, error: say(error) })
      return false
    }
    await ground.strike('after the commit')
    // Not awaited: if this note is lost, the write counts as ambiguous.
    ground.note({ type: 'ok', id })
    return true
  }

  /** Uses a lock, and records when it was certainly held. */
  async function hold(lock: HeldLock): Promise<void> {
    // Checked before anything is awaited: a lock that is already lost may belong to a store that was wiped. One that is only in doubt, since a clock was
    // set, is not used either: every write needs a grant in the history.
    if (!lock.isHeld()) return
    const { token } = lock
    const from = ground.now()
    const key = ground.place(lock.key)
    await ground.note({ type: 'grant', key, token })
    let until = from
    const look = (): void => {
      const at = ground.now()
      if (lock.isHeld()) until = at
    }
    const blind = fenced && random() < 0.5 ? unasked(lock) : undefined
    // Reads only once. From here on, only the lock guarantees that the remembered value is current.
    let last = await ground.read(lock)
    for (let left = between(random, 1, mostWrites); left > 0 && !signal.aborted; left--) {
      if (random() < 0.5) await pause(between(random, 0, longestPause))
      look()
      const write = { id: `${name}-${++made}`, key, token, saw: last?.id ?? '', value: (last?.value ?? 0) + 1 }
      if (!(await update(lock, write, blind))) break
      last = write
    }
    look()
    await ground.note({ type: 'held', key, token, from, until })
  }

  const attempt = async (run: () => Promise<unknown>): Promise<void> => {
    try {
      await run()
    } catch (error) {
      await ground.note({ type: 'trouble', error: say(error) })
      await pause(longestPause)
    }
  }

  async function write(): Promise<void> {
    while (!signal.aborted) {
      const key = pick(random, keys)
      await ground.note({ type: 'ask', key })
      await attempt(async () => {
        const lock = await locks.acquire(key)
        await hold(lock).finally(() => lock.release())
      })
    }
  }

  const others: readonly (() => Promise<unknown>)[] = [
    () => locks.query(),
    () => locks.whenFree(spare),
    () => locks.request(spare, { mode: 'shared' }, () => pause(longestPause)),
    async () => {
      const lock = await locks.tryAcquire(spare, { timeout: between(random, ...rests) })
      await lock?.renew().finally(() => lock.release())
    },
  ]
  async function askAround(): Promise<void> {
    while (!signal.aborted) {
      await pause(between(random, ...rests))
      await attempt(pick(random, others))
    }
  }

  // The control only has to show that an update is lost.
  await Promise.all([write(), fenced && askAround()])
}

/** A lock whose own check always passes, as if its holder had been stopped right after the check. Only the store can refuse it. */
const unasked = ({ name, key, session, token }: HeldLock): Fenced => ({ name, key, session, token, assertHeld() {} })

const codeOf = (error: unknown): string => String((error as { code?: unknown }).code)

/** The error as text, without the numbers, which differ from time to time. */
const say = (error: unknown): string => `${codeOf(error)}: ${String((error as Error).message)}`.replaceAll(/\d+/g, 'N').slice(0, 200)

/** Holds the strike that a worker still has to carry out. A new one replaces it. */
export class Orders {
  #pending: Strike | undefined

  give(strike: Strike): void {
    this.#pending = strike
  }

  /** Removes and returns the strike for this point, if there is one. */
  take(point: Point): Strike | undefined {
    if (this.#pending?.point !== point) return undefined
    const strike = this.#pending
    this.#pending = undefined
    return strike
  }
}
