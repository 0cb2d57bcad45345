import type { Locks } from '../index.ts'
import { attendance } from './attendance.ts'
import { atMost } from './interrupt.ts'
import { holdersOf } from './state.ts'

/** How long nobody waits any more for an answer that only explains something, in ms. */
const moment = 500
/** After this time without an answer, the store itself is what was waited for, in ms. */
const silence = 300

/** Why a lock could not be had in time: who has it, or what the store is busy with. '' if that is not known. */
export async function refusalOf(locks: Locks, name: string): Promise<string> {
  if (attendance.isSilent(silence)) return `the store is busy: ${attendance.why()}`
  const query = locks.query(name)
  if (!(await atMost(moment, query).catch(() => false))) return ''
  const { held, pending } = await query
  if (!held.length) return ''
  return `held by ${holdersOf(held)} (${pending.length} waiting)`
}
