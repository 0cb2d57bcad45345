import type { WorkerOrder } from './worker.ts'

export type WorkerKind = 'dedicated' | 'shared'

/** A worker, as its page sees it. */
export interface WorkerPort {
  /** Resolves when the worker has carried out the order. One order at a time. */
  order(order: WorkerOrder): Promise<void>
  /** Ends a dedicated worker. A shared one ends with its last page. */
  terminate(): void
}

/** Starts a worker with locks, or joins the shared one. */
export function startWorker(kind: WorkerKind): WorkerPort {
  if (kind === 'dedicated') {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' })
    return { order: ordersTo(worker), terminate: () => worker.terminate() }
  }
  const { port } = new SharedWorker(new URL('./worker.ts', import.meta.url), { type: 'module' })
  port.start()
  return { order: ordersTo(port), terminate() {} }
}

const ordersTo =
  (worker: Worker | MessagePort) =>
  (order: WorkerOrder): Promise<void> =>
    new Promise((resolve) => {
      worker.addEventListener('message', () => resolve(), { once: true })
      worker.postMessage(order)
    })
