import type { HeldLock, Locks } from 'storelock'
import type { Fenced } from 'storelock/protocol'
import type { Note, Write } from './history.ts'
import { between, pick, type Random } from './random.ts'

export const keys = ['a', 'b'] as const

/** Longest that a worker dwells before every other write, in ms, and the most writes that it makes while it holds a lock once. */
const longestPause = 2
const mostWrites = 80

/** Where a fault that was ordered strikes: between the look at the lock and the write, with all written but not committed, or before anyone hears that it is. */
export type Point = 'before the write' | 'before the commit' | 'after the commit'

/** A fault that strikes a worker at a point. Times in ms. */
export type Strike = { readonly type: 'hang'; readonly point: Point; readonly ms: number } | { readonly type: 'die'; readonly point: Point }

export type Order =
  | Strike
  /** Keeps all others from writing for so long. */
  | { readonly type: 'occupy'; readonly ms: number }
  /** Sets its wall clock this far from the true time. */
  | { readonly type: 'shift'; readonly ms: number }
  | { readonly type: 'finish' }

/** What a process and a page do each in their way. */
export interface Ground {
  readonly locks: Locks
  /** Resolves when the note outlives the worker. */
  note(note: Note): void | Promise<void>
  /** The last write of a key, whose lock this is. */
  read(key: string, lock: Fenced): Promise<Write | undefined>
  /** Writes if `lock` is held; without one, in any case. Calls `strike`, which may take its time, when all is written and nothing committed. */
  write(write: Write, lock: Fenced | undefined): Promise<void>
  /** Meets what is ordered for this point. */
  strike(point: Point): void | Promise<void>
}

export interface Work {
  readonly name: string
  /** Whether writes go through the store's fence; else the lock is asked, and then written. */
  readonly fenced: boolean
  readonly random: Random
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Does read-modify-write under the lock, now of one key and now of the other, until `signal` aborts. */
export async function work({ name, fenced, random }: Work, ground: Ground, signal: AbortSignal): Promise<void> {
  let made = 0

  /** @returns whether the worker knows that it is written, and may go on from there */
  async function update(lock: HeldLock, write: Write, blind: boolean): Promise<boolean> {
    const { id } = write
    await ground.note({ type: 'invoke', write })
    // Without a fence this is all that a holder can do; what strikes after it is too late for it.
    if (!fenced && !lock.isHeld()) {
      await ground.note({ type: 'fail', id, blind })
      return false
    }
    await ground.strike('before the write')
    try {
      await ground.write(write, fenced ? (blind ? unasked(lock) : lock) : undefined)
    } catch (error) {
      const refused = ['lost', 'not-held'].includes(codeOf(error))
      await ground.note(refused ? { type: 'fail', id, blind } : { type: 'info', id, error: say(error) })
      return false
    }
    await ground.strike('after the commit')
    await ground.note({ type: 'ok', id })
    return true
  }

  async function hold(lock: HeldLock): Promise<void> {
    const { key, token } = lock
    await ground.note({ type: 'grant', key, token })
    const blind = fenced && random() < 0.5
    // Read once: from here on the lock alone vouches for what this worker remembers.
    let last = await ground.read(key, lock)
    for (let left = between(random, 1, mostWrites); left > 0 && !signal.aborted; left--) {
      if (random() < 0.5) await pause(between(random, 0, longestPause))
      const write = { id: `${name}-${++made}`, key, token, saw: last?.id ?? '', value: (last?.value ?? 0) + 1 }
      if (!(await update(lock, write, blind))) return
      last = write
    }
  }

  while (!signal.aborted) {
    const key = pick(random, keys)
    await ground.note({ type: 'ask', key })
    try {
      const lock = await ground.locks.acquire(key, { signal })
      await hold(lock).finally(() => lock.release())
    } catch (error) {
      if (signal.aborted) return
      await ground.note({ type: 'trouble', error: say(error) })
      await pause(longestPause)
    }
  }
}

/** A lock whose holder was stopped right after it had asked whether it holds it: only the store knows better. */
const unasked = ({ name, key, session, token }: HeldLock): Fenced => ({ name, key, session, token, assertHeld() {} })

const codeOf = (error: unknown): string => String((error as { code?: unknown }).code)

/** What failed, without what differs from time to time. */
const say = (error: unknown): string => `${codeOf(error)}: ${String((error as Error).message)}`.replaceAll(/\d+/g, 'N').slice(0, 200)

/** The strike that a worker has still to meet; of several the last. */
export class Orders {
  #pending: Strike | undefined

  give(strike: Strike): void {
    this.#pending = strike
  }

  /** @returns what is ordered for this point, once */
  take(point: Point): Strike | undefined {
    if (this.#pending?.point !== point) return undefined
    const strike = this.#pending
    this.#pending = undefined
    return strike
  }
}
