import { TLSSocket } from 'node:tls'

/** A client's certificate, signed by an authority that the server trusts. */
export interface ClientCertificate {
  /** SHA-256, in lowercase hex. */
  readonly fingerprint: string
  /** The subject's values by attribute, such as CN and O. */
  readonly subject: Readonly<Record<string, unknown>>
  /** When it expires: wall time in ms since 1970. */
  readonly until: number
}

const known = new WeakMap<object, ClientCertificate>()

/** The certificate that a connection's client has shown, if it is valid. */
export function certificateOf(socket: object): ClientCertificate | undefined {
  // If `authorized`, the handshake has verified the signature and that the client has the private key.
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined
  const seen = known.get(socket)
  if (seen) return seen
  const { fingerprint256, subject, valid_to: until } = socket.getPeerCertificate()
  if (!fingerprint256) return undefined
  const certificate = { fingerprint: plainHex(fingerprint256), subject: { ...subject }, until: Date.parse(until) }
  known.set(socket, certificate)
  return certificate
}

/** Normalizes hex for comparison: fingerprints are commonly written with colons. */
export const plainHex = (text: string): string => text.replaceAll(':', '').toLowerCase()
