import type { ReloadOptions } from './options.ts'
import type { VerifyReply } from './wire.ts'

/** A lock server without a socket of its own, for the server that you have. */
export interface LockHandler {
  /** Answers a request. `address` is the client's, for the log and for limits. */
  fetch(request: Request, from?: { readonly address?: string | undefined }): Promise<Response>
  /** What `POST /v1/verify` tells. */
  verify(key: string, lockToken: string): Promise<VerifyReply>
  /**
   * Goes on with other clients; sessions, locks and lockTokens stay.
   * @throws LockError `invalid` if something in it is wrong, and then all stays as it was
   */
  reload(options: ReloadOptions): void
  /**
   * Ends all event streams, lets requests under way finish, and writes the log, all within `grace`. The store stays open: it is yours.
   * @returns what was given up, in words; nothing if all was done
   */
  close(): Promise<readonly string[]>
}
