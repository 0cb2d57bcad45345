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
 * Verifies a lockToken with only the server's secret, or several: that the server granted `key` to this session with this fencing token. Only the
 * store knows whether the lock is still held: ask `verify`, or compare the fencing token with the highest seen.
 *
 * @returns `undefined` if this secret did not sign it for this key, or if it is a waiter's
 */
export function verifyOffline(secret: Secret, key: string, lockToken: string): { session: string; token: number } | undefined {
  const grip = openLockToken(new KeyRing(keysOf(secret)), key, lockToken)
  return grip?.token === undefined ? undefined : { session: grip.session, token: grip.token }
}
