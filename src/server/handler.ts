import type { ReloadOptions } from './options.ts'
import type { VerifyReply } from './wire.ts'

/** A lock server without a socket of its own, for your own server. */
export interface LockHandler {
  /** Answers a request. `address` is the client's, for the log and for limits. */
  fetch(request: Request, from?: { readonly address?: string | undefined }): Promise<Response>
  /** Answers as `POST /v1/verify` does. */
  verify(key: string, lockToken: string): Promise<VerifyReply>
  /**
   * Replaces the clients or the secret; sessions and locks stay.
   * @throws LockError `invalid` if something is wrong, and then nothing changes
   */
  reload(options: ReloadOptions): void
  /**
   * Ends all event streams, lets pending requests finish, and writes the log, all within `grace`. The store stays open: it is yours.
   * @returns what could not be finished in time, in words; empty if everything was
   */
  close(): Promise<readonly string[]>
}
