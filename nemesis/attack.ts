import { setTimeout as sleep } from 'node:timers/promises'
import { type Arena, type Fault, lease } from './arena.ts'
import { between, pick, type Random, shuffled } from './random.ts'
import { keys } from './worker.ts'

/** How many workers may have a fault at once. Some must be left to take over. */
const atOnce = 3

/** How many faults of each kind are over so far. */
export type Tally = Record<string, number>

export interface Assault {
  /** The mean time from one fault to the next, in ms. */
  readonly every: number
  /** How long a fault lasts, at least and at most, in leases. */
  readonly leases: readonly [least: number, most: number]
  readonly random: Random
  /** Where the faults are counted. */
  readonly tally: Tally
}

/** Causes one fault after the other, mostly to a holder, until `signal` aborts. */
export async function attack({ workers, faults, holder }: Arena, { every, leases, random, tally }: Assault, signal: AbortSignal): Promise<void> {
  for (const { kind } of faults) tally[kind] = 0
  const troubled = new Set<string>()
  let deck: Fault[] = []

  while (!signal.aborted) {
    await sleep(between(random, 0.5, 1.5) * every)
    if (troubled.size >= atOnce || signal.aborted) continue
    // A holder that already has a fault gets no second one, so another worker is chosen.
    const chosen = random() < 0.75 ? await holder(pick(random, keys)) : undefined
    const free = workers.filter((worker) => !troubled.has(worker))
    const worker = chosen && free.includes(chosen) ? chosen : pick(random, free)
    // Uses every kind once before it starts again, each time in another order.
    if (!deck.length) deck = shuffled(random, faults)
    const fault = deck.pop() as Fault
    troubled.add(worker)
    fault
      .inflict(worker, between(random, ...leases) * lease, random)
      .then((happened) => {
        if (happened && !signal.aborted) tally[fault.kind] = (tally[fault.kind] ?? 0) + 1
      })
      .finally(() => troubled.delete(worker))
      .catch(() => {})
  }
}
