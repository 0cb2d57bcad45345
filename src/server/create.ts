import type { Store } from '../store.ts'
import { openEngine } from './engine.ts'
import type { LockHandler } from './handler.ts'
import type { HandlerOptions } from './options.ts'

/**
 * Serves a store through a function that takes a request and returns the response.
 * @throws LockError `invalid` if an option is wrong, `store` if the server's own data cannot be stored
 */
export async function createHandler(store: Store, options: HandlerOptions = {}): Promise<LockHandler> {
  const { fetch, verify, reload, close } = await openEngine(store, options)
  return { fetch, verify, reload, close }
}
