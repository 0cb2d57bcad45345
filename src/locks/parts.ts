import type { KeyCommand } from '../protocol/index.ts'
import { command, expireHolders, snapshot } from './admin.ts'
import { baseOf } from './base.ts'
import { ByName } from './by-name.ts'
import { checkWish } from './options.ts'
import { Reentrant } from './reentrant.ts'
import { asSpecified, assertFullyActive } from './request.ts'
import { dropIdle } from './sweep.ts'
import type { AcquireOptions, CoreLocks, LocksSnapshot, ReentrantLock, SweepOptions } from './types.ts'
import { untilFree } from './when-free.ts'

/** As `Locks.query`: the holders and waiters of one name or of all. */
export async function query(locks: CoreLocks, name?: string): Promise<LocksSnapshot> {
  const base = baseOf(locks)
  const key = name === undefined ? undefined : base.anyKeyOf(String(name))
  assertFullyActive()
  base.session.assertOpen()
  return await asSpecified(snapshot(base.session, key))
}

const reentrants = new WeakMap<CoreLocks, ByName<ReentrantLock>>()

/** As `Locks.reentrant`: one lease for all users in this process. The same name gives the same lock. */
export function reentrant(locks: CoreLocks, name: string, options: Pick<AcquireOptions, 'duration' | 'metadata' | 'maxHold'> = {}): ReentrantLock {
  const base = baseOf(locks)
  const { session } = base
  const key = base.keyOf(name)
  session.assertOpen()
  const known = reentrants.get(locks) ?? new ByName()
  reentrants.set(locks, known)
  return known.get(name, () => new Reentrant(session, key, name, checkWish(session.settings, options), known.use).handle)
}

/** As `Locks.whenFree`: resolves when nobody holds the lock, at once if nobody does. */
export async function whenFree(locks: CoreLocks, name: string, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<void> {
  const base = baseOf(locks)
  await base.using(base.keyOf(name), name, (line) => untilFree(base.session, line, signal))
}

/** As `Locks.expire`: evicts holders that have been silent for their lease. */
export async function expire(locks: CoreLocks, name: string): Promise<void> {
  const base = baseOf(locks)
  await base.using(base.keyOf(name), name, (line) => expireHolders(base.session, line))
}

async function order(locks: CoreLocks, name: string, make: (key: string) => KeyCommand): Promise<void> {
  const base = baseOf(locks)
  const key = base.keyOf(name)
  base.session.assertOpen()
  await command(base.session, name, make(key))
}

/** As `Locks.revoke`: takes the lock from a session, or from all holders. */
export const revoke = (locks: CoreLocks, name: string, session?: string): Promise<void> =>
  order(locks, name, (key) => ({ type: 'revoke', key, session }))

/** As `Locks.pin`: protects the holder, present or future, from eviction for silence. */
export const pin = (locks: CoreLocks, name: string, entity: string): Promise<void> => order(locks, name, (key) => ({ type: 'pin', key, entity }))

/** As `Locks.unpin`. */
export const unpin = (locks: CoreLocks, name: string, entity: string): Promise<void> => order(locks, name, (key) => ({ type: 'unpin', key, entity }))

/** As `Locks.sweep`: drops the records of locks that nobody holds, waits for or pins. */
export const sweep = async (locks: CoreLocks, options?: SweepOptions): Promise<number> => dropIdle(baseOf(locks).session, options)
