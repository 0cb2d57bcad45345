import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { LockError } from '../protocol/index.ts'
import type { HandlerOptions, ServerTls } from './options.ts'

/** @throws LockError `invalid` if the key or the certificate is invalid, or they do not match */
export function contextOf({ key, cert, clientCa }: ServerTls): SecureContextOptions & { requestCert?: boolean; rejectUnauthorized?: boolean } {
  const pem = { key, cert, ...(clientCa !== undefined && { ca: clientCa }) } as SecureContextOptions
  try {
    createSecureContext(pem)
  } catch (error) {
    throw new LockError('invalid', `the TLS key and certificate cannot be used: ${(error as Error).message}`, { cause: error })
  }
  // A client without a valid certificate may still use a bearer token.
  return clientCa === undefined ? pem : { ...pem, requestCert: true, rejectUnauthorized: false }
}

/** @throws LockError `invalid` if a client has a certificate and there is no `tls.clientCa` */
export function checkCertificates(clients: HandlerOptions['clients'], tls: ServerTls | undefined): void {
  const bare = tls?.clientCa === undefined && clients?.find(({ certificate }) => certificate)
  if (bare) throw new LockError('invalid', `client ${bare.name} has a certificate, but there is no authority to verify it: set \`tls.clientCa\``)
}

/** @throws LockError `invalid` if a server that was started with `before` cannot switch to `after` while it runs */
export function checkRenewal(before: ServerTls | undefined, after: ServerTls): void {
  if (!before) throw new LockError('invalid', 'a server that was started without TLS cannot be given a certificate: restart it')
  if (after.clientCa !== undefined && before.clientCa === undefined)
    throw new LockError('invalid', 'a server that was started without `tls.clientCa` does not ask for certificates: restart it')
}
