import { openSync, writeFileSync, writeSync } from 'node:fs'
import { now } from '../e2e/processes/orders.ts'
import type { Line, Note } from './history.ts'
import type { News, Start } from './processes.ts'
import { type Order, Orders, type Point } from './worker.ts'

/** A process that works under locks and obeys orders over Node's IPC. */
export interface Child<S extends Start> {
  readonly start: S
  /** Aborts when the process should finish. */
  readonly signal: AbortSignal
  note(note: Note): void
  strike(point: Point): void
}

/** Blocks this thread, and with it everything that the process does by itself. */
export const stand = (ms: number) => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)

/** @param obey carries out orders of other kinds, and returns whether it did */
export function beChild<S extends Start>(obey: (order: Order) => boolean = () => false): Child<S> {
  const start = JSON.parse(process.argv[2] ?? '') as S
  const paper = openSync(start.notes, 'a')
  const orders = new Orders()
  const end = new AbortController()
  const tell = (met: Order['type']) => void process.send?.({ met } satisfies News)

  process.on('message', (order: Order) => {
    if (order.type === 'finish') return end.abort()
    if (order.type === 'hang' || order.type === 'die') return orders.give(order)
    if (order.type === 'shift') writeFileSync(start.clock, `${order.ms < 0 ? '' : '+'}${order.ms / 1_000}`)
    else if (!obey(order)) return
    tell(order.type)
  })
  // Without the runner, this process would never be told to end.
  process.on('disconnect', () => process.exit())

  return {
    start,
    signal: end.signal,
    note: (note) => void writeSync(paper, `${JSON.stringify({ ...note, at: now() } satisfies Line)}\n`),
    strike(point) {
      const order = orders.take(point)
      if (order?.type === 'die') {
        process.kill(process.pid, 'SIGKILL')
        // The signal takes a moment, in which this process must do nothing more.
        for (;;) stand(1_000)
      }
      if (order?.type === 'hang') {
        stand(order.ms)
        tell('hang')
      }
    },
  }
}
