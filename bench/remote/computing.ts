import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** A tick of the clock in which Linux counts CPU time, in µs. */
const tick = 10_000

/** The CPU time that processes have used, with that of children for which they have waited, in µs. */
function computed(pids: readonly number[]): number {
  let ticks = 0
  for (const pid of pids) {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The times in user and kernel mode, and those of ended children. The process name before these fields may contain spaces.
    for (const count of stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .slice(11, 15))
      ticks += Number(count)
  }
  return ticks * tick
}

/** The CPU time that an idle server uses by itself, in µs per ms. */
export async function idleOf(pids: () => readonly number[], ms: number): Promise<number> {
  const before = computed(pids())
  const begun = performance.now()
  await sleep(ms)
  return (computed(pids()) - before) / (performance.now() - begun)
}

export interface Work {
  /** How long one operation takes, and how much CPU time the server uses for it, in µs. */
  readonly took: number
  readonly computing: number
  readonly count: number
}

/** Repeats an operation for `ms`. @param idle the CPU time that the server uses by itself, in µs per ms */
export async function during(ms: number, pids: () => readonly number[], idle: number, act: () => Promise<unknown>): Promise<Work> {
  const before = computed(pids())
  const begun = performance.now()
  let count = 0
  for (; performance.now() - begun < ms; count++) await act()
  const passed = performance.now() - begun
  return { count, took: (passed * 1_000) / count, computing: Math.max(0, computed(pids()) - before - idle * passed) / count }
}
