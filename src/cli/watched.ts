import { type Cycle, cycleInWords } from '../inspector/waits.ts'
import { inWords } from './output.ts'
import { heldFor, kindOf, type LockState, nameOf, type WaiterState } from './state.ts'

/* The table of `watch`: everything that a look shows of a lock. */

/** The most waiters of a lock that get a row each. */
const most = 5

export const watchHead = ['KEY', 'HOLDER', 'MODE', 'HELD FOR', 'RENEWED', 'EXPIRES IN', 'TOKEN', 'PINNED BY']

/** A lock as rows of a table: one for each holder, then one for each of the first waiters. */
export function watchRows({ key, holders, queue, pins }: LockState, now: number = Date.now()): string[][] {
  const pinned = pins.join(', ')
  const rows = holders.map((holder) => {
    const { token, since, renewed, expires, overdue } = holder
    const beats = [`${inWords(Math.max(0, now - renewed))} ago`, overdue ? 'overdue' : inWords(expires - now)]
    return [nameOf(holder), kindOf(holder), heldFor(since, now), ...beats, `${token}`]
  })
  if (!rows.length) rows.push(['', '', '', '', '', ''])
  const left = queue.length - most
  return [
    ...rows.map((row, index) => (index ? ['', ...row, ''] : [key, ...row, pinned])),
    ...queue.slice(0, most).map((waiter, index) => [`  ${index + 1}. waits`, ...inQueue(waiter)]),
    ...(left > 0 ? [[`  and ${left} more`, '', '', '', '', '', '', '']] : []),
  ]
}

function inQueue(waiter: WaiterState): string[] {
  const { count, ask } = waiter
  const times = count > 1 ? ` (${count} requests)` : ''
  return [`${nameOf(waiter)}${times}`, kindOf(waiter), ask === null ? '' : `asks ${JSON.stringify(ask)}`, '', '', '', '']
}

/** A cycle for people, with the labels of its sessions. */
export function cycleOf(cycle: Cycle, states: ReadonlyMap<string, LockState>): string {
  const parties = [...states.values()].flatMap(({ holders, queue }) => [...holders, ...queue])
  const labels = new Map(parties.map(({ session, label }) => [session, label]))
  return cycleInWords(cycle, (session) => nameOf({ session, label: labels.get(session) ?? null }))
}
