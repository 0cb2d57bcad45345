import type { Store } from '../store.ts'
import { openEngine } from './engine.ts'
import type { HandlerOptions } from './options.ts'
import type { VerifyReply } from './wire.ts'

/** A lock server without a socket of its own, for the server that you have. */
export interface LockHandler {
  /** Answers a request. `address` is the client's, for the log and for limits. */
  fetch(request: Request, from?: { readonly address?: string | undefined }): Promise<Response>
  /** What `POST /v1/verify` tells. */
  verify(key: string, lockToken: string): Promise<VerifyReply>
  /** Ends all event streams, lets requests under way finish, and writes the log. The store stays open: it is yours. */
  close(): Promise<void>
}

/**
 * Serves a store by a function from requests to answers.
 * @throws LockError `invalid` if an option is wrong, `store` if what the server has to remember cannot be kept
 */
export async function createHandler(store: Store, options: HandlerOptions = {}): Promise<LockHandler> {
  const { fetch, verify, close } = await openEngine(store, options)
  return { fetch, verify, close }
}
