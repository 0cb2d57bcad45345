import type { DatabaseOrder } from './database-worker.ts'

const worker = new Worker(new URL('./database-worker.ts', import.meta.url), { type: 'module' })

/** What tests do in a page, as the global `database`: one order to its worker at a time. */
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
