import { TLSSocket } from 'node:tls'

/** A client's certificate that an authority of the server's has signed. */
export interface ClientCertificate {
  /** SHA-256, in lower hex. */
  readonly fingerprint: string
  /** By attribute, such as CN and O. */
  readonly subject: Readonly<Record<string, unknown>>
  /** When it ends: wall time in ms since 1970. */
  readonly until: number
}

const known = new WeakMap<object, ClientCertificate>()

/** The certificate that a connection's client has shown, if it is valid. */
export function certificateOf(socket: object): ClientCertificate | undefined {
  // It has proved that it has the key, and the handshake has verified the signature.
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined
  const seen = known.get(socket)
  if (seen) return seen
  const { fingerprint256, subject, valid_to: until } = socket.getPeerCertificate()
  if (!fingerprint256) return undefined
  const certificate = { fingerprint: plainHex(fingerprint256), subject: { ...subject }, until: Date.parse(until) }
  known.set(socket, certificate)
  return certificate
}

/** Hex in the form that is compared: fingerprints are commonly written with colons. */
export const plainHex = (text: string): string => text.replaceAll(':', '').toLowerCase()
