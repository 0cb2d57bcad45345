import type { Locks } from '../index.ts'
import { attendance } from './attendance.ts'
import { atMost } from './interrupt.ts'
import { holdersOf } from './state.ts'

/** The longest wait for an answer that only explains the refusal, in ms. */
const moment = 500
/** If the store has not answered for this long, in ms, then the store itself is the reason for the refusal. */
const silence = 300

/** The message of a refusal, with the reason after it if that is known. */
export async function withReason(message: string, locks: Locks, name: string): Promise<string> {
  const why = await reasonOf(locks, name)
  return why ? `${message}: ${why}` : message
}

/** Why the lock was not granted in time: its holders, or what keeps the store busy. '' if that is not known. */
async function reasonOf(locks: Locks, name: string): Promise<string> {
  if (attendance.isSilent(silence)) return `the store is busy: ${attendance.why()}`
  const query = locks.query(name)
  if (!(await atMost(moment, query).catch(() => false))) return ''
  const { held, pending } = await query
  if (!held.length) return ''
  return `held by ${holdersOf(held)} (${pending.length} waiting)`
}
