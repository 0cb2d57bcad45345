import type { Secret } from './options.ts'
import { keysOf } from './secret.ts'
import { KeyRing, openLockToken } from './tokens.ts'

export { createHandler } from './create.ts'
export type { ClientCredential } from './credentials.ts'
export type { LockHandler } from './handler.ts'
export { postgresServerSchema } from './journal/postgres-tables.ts'
export type { HandlerOptions, LogOptions, ReloadOptions, Secret, ServerLimits, ServerTls } from './options.ts'
export type { ReportLevel, ReportOptions } from './report.ts'
export { checkStart, type LockServer, type ServeOptions, serve } from './serve.ts'
export type { LogEntry, LogKind, LogQuery, VerifyReply } from './wire.ts'

/**
 * Verifies a lockToken with nothing but the server's secret, or its secrets: that the server granted `key` to the session that it returns, with the
 * fencing token that it returns. Only the store knows whether the lock is still held: ask `verify`, or compare the fencing token with the highest
 * one seen.
 *
 * @returns `undefined` if the secret did not sign the lockToken for this key, or if the lockToken is a waiter's
 */
export function verifyOffline(secret: Secret, key: string, lockToken: string): { session: string; token: number } | undefined {
  const grip = openLockToken(new KeyRing(keysOf(secret)), key, lockToken)
  return grip?.token === undefined ? undefined : { session: grip.session, token: grip.token }
}
