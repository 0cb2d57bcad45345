import type { DatabaseOrder } from './database-worker.ts'

const worker = new Worker(new URL('./database-worker.ts', import.meta.url), { type: 'module' })

/** What tests call in the page, as the global `database`. It sends its worker one order at a time. */
const exposed = {
  order: (order: DatabaseOrder): Promise<unknown> =>
    new Promise((resolve) => {
      worker.addEventListener('message', ({ data }) => resolve(data), { once: true })
      worker.postMessage(order)
    }),
}

declare global {
  var database: typeof exposed
}

globalThis.database = exposed
