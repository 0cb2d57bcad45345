import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { LockError } from '../protocol/index.ts'
import type { HandlerOptions, ServerTls } from './options.ts'

/** @throws LockError `invalid` if a key and a certificate are none, or not those of one another */
export function contextOf({ key, cert, clientCa }: ServerTls): SecureContextOptions & { requestCert?: boolean; rejectUnauthorized?: boolean } {
  const pem = { key, cert, ...(clientCa !== undefined && { ca: clientCa }) } as SecureContextOptions
  try {
    createSecureContext(pem)
  } catch (error) {
    throw new LockError('invalid', `the TLS key and certificate cannot be used: ${(error as Error).message}`, { cause: error })
  }
  // Who shows none, or one that nobody vouches for, may still come by a bearer token.
  return clientCa === undefined ? pem : { ...pem, requestCert: true, rejectUnauthorized: false }
}

/** @throws LockError `invalid` if a client comes by a certificate and nobody can vouch for it */
export function checkCertificates(clients: HandlerOptions['clients'], tls: ServerTls | undefined): void {
  const bare = tls?.clientCa === undefined && clients?.find(({ certificate }) => certificate)
  if (bare) throw new LockError('invalid', `client ${bare.name} comes by a certificate, and nobody vouches for it: give \`tls.clientCa\``)
}

/** @throws LockError `invalid` if a server that was started with `before` cannot come to have `after` while it runs */
export function checkRenewal(before: ServerTls | undefined, after: ServerTls): void {
  if (!before) throw new LockError('invalid', 'a server that was started without TLS cannot be given a certificate: start it anew')
  if (after.clientCa !== undefined && before.clientCa === undefined)
    throw new LockError('invalid', 'a server that was started without `tls.clientCa` asks nobody for a certificate: start it anew')
}
