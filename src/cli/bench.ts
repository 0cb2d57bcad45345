import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createLocks, type Locks } from '../index.ts'
import type { Common } from './args.ts'
import { untilSignal } from './interrupt.ts'
import { print, printJson } from './output.ts'
import { closeLocks, withUnwatchedStore } from './store.ts'

export interface BenchOptions extends Common {
  /** How long to acquire and release a lock, in ms. */
  readonly time: number
  /** How many times to hand a lock to another process. */
  readonly handoffs: number
  /** Set by the first process for the second: the lock that they pass to each other. */
  readonly partner?: string
}

/** In ms, on a clock that all processes of a machine share. */
const now = (): number => Number(process.hrtime.bigint()) / 1e6

/** Measures a store on this machine. */
export async function bench(options: BenchOptions): Promise<void> {
  const { store: place, partner } = options
  await untilSignal((signal) =>
    withUnwatchedStore(
      place,
      async (store) => {
        const locks = createLocks({ store, label: 'bench', onWarning() {} })
        const name = partner ?? `storelock bench ${process.pid}`
        try {
          if (partner) await takeTurns(locks, name)
          else await measure(locks, name, options, signal)
        } finally {
          await closeLocks(locks)
          if (!partner) await store.apply([{ type: 'sweep', key: name }])
        }
      },
      true,
    ),
  )
}

async function measure(locks: Locks, name: string, { store: place, json, time, handoffs }: BenchOptions, signal: AbortSignal): Promise<void> {
  const takes: number[] = []
  const end = now() + time
  while (now() < end) {
    signal.throwIfAborted()
    const start = now()
    const lock = await locks.acquire(name)
    await lock.release()
    takes.push(now() - start)
  }
  const gaps = await handOn(locks, name, place, handoffs, signal)
  const figures = {
    acquire: { count: takes.length, perSecond: Math.round((takes.length / time) * 1_000), ...figuresOf(takes) },
    handoff: { count: gaps.length, ...figuresOf(gaps) },
  }
  if (json) return printJson(figures)
  const { acquire, handoff } = figures
  print(`acquire + release  ${acquire.perSecond}/s, p50 ${acquire.p50} ms, p99 ${acquire.p99} ms (${acquire.count})`)
  print(`hand-off           p50 ${handoff.p50} ms, p99 ${handoff.p99} ms, between two processes (${handoff.count})`)
}

/** Hands the lock to another process again and again. @returns the times from each release to the other's acquire, in ms */
async function handOn(locks: Locks, name: string, place: string, count: number, signal: AbortSignal): Promise<number[]> {
  const [program = ''] = process.argv.slice(1)
  const other = fork(program, ['bench', '--store', place, '--partner', name], { signal })
  const failed = new Promise<never>((_, reject) => {
    other.once('error', reject)
    other.once('exit', (code) => reject(new Error(`the second process of the bench ended with ${code}`)))
  })
  failed.catch(() => {})
  const word = async <T>(): Promise<T> => ((await Promise.race([once(other, 'message'), failed])) as [T])[0]
  try {
    await word()
    const gaps: number[] = []
    while (gaps.length < count) {
      const lock = await locks.acquire(name, { signal })
      const asking = word()
      other.send('take')
      await asking
      // Wait until the other process is in the queue.
      while (!(await locks.query(name)).pending.length) await new Promise((resolve) => setTimeout(resolve, 1))
      const got = word<number>()
      const released = now()
      await lock.release()
      gaps.push((await got) - released)
    }
    return gaps
  } finally {
    if (other.connected) other.disconnect()
  }
}

/** The second process: acquires the lock whenever the first process tells it to, and reports when it got it. */
async function takeTurns(locks: Locks, name: string): Promise<void> {
  const told = async (): Promise<void> => {
    process.send?.('asks')
    const lock = await locks.acquire(name)
    const at = now()
    await lock.release()
    process.send?.(at)
  }
  // If the first process is gone by then, it needs no answer.
  process.on('message', () => told().catch(() => {}))
  process.send?.('ready')
  await once(process, 'disconnect')
}

function figuresOf(times: readonly number[]): { p50: number; p99: number } {
  const sorted = [...times].sort((a, b) => a - b)
  const at = (share: number): number => Number((sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0).toPrecision(3))
  return { p50: at(0.5), p99: at(0.99) }
}
