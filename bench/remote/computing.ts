import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** A tick of the clock by which Linux counts what processes compute, in µs. */
const tick = 10_000

/** How much processes have computed, and those that they have waited for, in µs. */
function computed(pids: readonly number[]): number {
  let ticks = 0
  for (const pid of pids) {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // In user and kernel mode, and the same of the children that have ended. The name before may have spaces.
    for (const count of stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .slice(11, 15))
      ticks += Number(count)
  }
  return ticks * tick
}

/** What an idle server computes by itself, in µs of each ms. */
export async function idleOf(pids: () => readonly number[], ms: number): Promise<number> {
  const before = computed(pids())
  const begun = performance.now()
  await sleep(ms)
  return (computed(pids()) - before) / (performance.now() - begun)
}

export interface Work {
  /** How long one takes, and what the server computes for one, in µs. */
  readonly took: number
  readonly computing: number
  readonly count: number
}

/** Does something again and again. @param idle what the server computes by itself, in µs of each ms */
export async function during(ms: number, pids: () => readonly number[], idle: number, act: () => Promise<unknown>): Promise<Work> {
  const before = computed(pids())
  const begun = performance.now()
  let count = 0
  for (; performance.now() - begun < ms; count++) await act()
  const passed = performance.now() - begun
  return { count, took: (passed * 1_000) / count, computing: Math.max(0, computed(pids()) - before - idle * passed) / count }
}
