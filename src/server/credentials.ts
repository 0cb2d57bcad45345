import { createHash, randomBytes } from 'node:crypto'
import { LockError } from '../protocol/index.ts'
import { type ClientCertificate, plainHex } from './certificates.ts'

/** A client that may use the server. */
export interface ClientCredential {
  /** Shown in the log. A session belongs to this name and the client key together: a later credential of the same name keeps the sessions. */
  readonly name: string
  /**
   * The bearer token, unless it has a `certificate`: 128 random bits or more, such as 22 characters of base64url or 32 of hex. Or its hash, `sha256:`
   * and 64 hex digits.
   */
  readonly token?: string | undefined
  /**
   * The certificate by which it may authenticate instead, if `tls.clientCa` has signed it: by its SHA-256 fingerprint, by fields of its subject, such
   * as `{ "CN": "worker-7" }`, or by both.
   */
  readonly certificate?: { readonly fingerprint?: string | undefined; readonly subject?: Readonly<Record<string, string>> | undefined } | undefined
  /** The prefixes of the keys that it may use, read and get hints of. Default: all keys. */
  readonly prefixes?: readonly string[] | undefined
  /** Whether it may revoke, pin, unpin and sweep, and read the metrics and log entries that concern no key. Default: false. */
  readonly admin?: boolean | undefined
  /** Whether it may only read locks, listen, read the log and verify. Default: false. */
  readonly readOnly?: boolean | undefined
  /** Whether it may steal locks. Default: whether it is `admin`. */
  readonly steal?: boolean | undefined
  /** Whether it may ask holders to release. Default: true. */
  readonly ask?: boolean | undefined
  /** When it expires, as ISO 8601: `2027-01-31`, which is midnight UTC, or `2027-01-31T18:00:00Z`. Default: never. */
  readonly expires?: string | undefined
}

/** A checked credential. */
export interface Credential extends ClientCredential {
  /** The hash of the token. */
  readonly hash: Uint8Array
  /** Wall time in ms since 1970. */
  readonly until: number
  /** Distinguishes it from one of the same name with other rights. */
  readonly text: string
}

/** The fewest bits of a token, and the fewest different characters: a random token has more. */
const least = { bits: 128, characters: 6 }

/** The alphabets of tokens, smallest first, with the number of characters in each. */
const alphabets: readonly (readonly [RegExp, number])[] = [
  [/^\d*$/, 10],
  [/^[\da-f]*$/i, 16],
  [/^[\da-z]*$/, 36],
  [/^[\w+/=.-]*$/, 64],
  [/./, 94],
]

const hashed = /^sha256:([\da-f]{64})$/i

/** @throws LockError `invalid` if one is wrong or too weak, or if two have the same name or token */
export function checkedCredentials(clients: readonly ClientCredential[]): Credential[] {
  if (!clients.length)
    throw new LockError('invalid', 'the list of clients is empty: name one, or leave the list out, and everyone who can reach the server may use it')
  const names = new Set<string>()
  const tokens = new Map<string, string>()
  return clients.map((client) => {
    const { name } = client
    if (!name || names.has(name)) throw new LockError('invalid', `each client needs a name of its own, and ${JSON.stringify(name)} is not`)
    names.add(name)
    const hash = hashFor(client)
    const twin = tokens.get(hash.toString('hex'))
    if (twin !== undefined) throw new LockError('invalid', `the clients ${twin} and ${name} have the same token: give each its own`)
    tokens.set(hash.toString('hex'), name)
    return { ...client, hash, until: untilOf(client), text: JSON.stringify(client) }
  })
}

/** The first credential that matches a certificate's fingerprint and subject. */
export const credentialOf = (credentials: readonly Credential[], { fingerprint, subject, until }: ClientCertificate): Credential | undefined =>
  credentials.find(({ certificate }) => {
    if (!certificate || Date.now() >= until) return false
    const { fingerprint: expected, subject: wanted = {} } = certificate
    if (expected !== undefined && plainHex(expected) !== fingerprint) return false
    return Object.entries(wanted).every(([name, value]) => subject[name] === value)
  })

/** The hash that a token must have; a random one, which no token has, for a client with a certificate. */
function hashFor({ name, token, certificate }: ClientCredential): Buffer {
  if (certificate) checkCertificate(name, certificate)
  if (token !== undefined) return hashOf(token, name)
  if (!certificate) throw new LockError('invalid', `client ${name} has neither a token nor a certificate: give it one`)
  return randomBytes(32)
}

function checkCertificate(name: string, { fingerprint, subject }: NonNullable<ClientCredential['certificate']>): void {
  if (fingerprint === undefined && !Object.keys(subject ?? {}).length)
    throw new LockError('invalid', `the certificate of client ${name} would match anybody’s: give its fingerprint, or fields of its subject`)
  if (fingerprint !== undefined && !/^[\da-f]{64}$/.test(plainHex(fingerprint)))
    throw new LockError('invalid', `the fingerprint of client ${name} is not a SHA-256 one: \`openssl x509 -noout -fingerprint -sha256\` prints it`)
}

/** The hash of a token as clients send it. */
export const hashOfToken = (token: string): Uint8Array => digestOf(token)

const digestOf = (token: string): Buffer => createHash('sha256').update(token).digest()

function hashOf(token: string, name: string): Buffer {
  const [, hash] = hashed.exec(token) ?? []
  if (hash !== undefined) return Buffer.from(hash, 'hex')
  if (token.startsWith('sha256:'))
    throw new LockError('invalid', `the token of client ${name} is not a hash: after sha256: there must be 64 hex digits`)
  if (!/^[!-~]*$/.test(token))
    throw new LockError('invalid', `the token of client ${name} cannot go in a header: take ASCII letters, digits and signs`)
  const bits = Math.floor(bitsOf(token))
  if (bits < least.bits)
    throw new LockError(
      'invalid',
      `the token of client ${name} has at most ${bits} bits: make one of ${least.bits} or more by \`openssl rand -hex 16\``,
    )
  if (new Set(token).size < least.characters)
    throw new LockError('invalid', `the token of client ${name} is not random: make one by \`openssl rand -hex 16\``)
  return digestOf(token)
}

/** The most bits that a text may have, by its length and its alphabet. */
function bitsOf(token: string): number {
  const [, characters = 94] = alphabets.find(([alphabet]) => alphabet.test(token)) ?? []
  return token.length * Math.log2(characters)
}

function untilOf({ name, expires }: ClientCredential): number {
  if (expires === undefined) return Infinity
  const until = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/.test(expires) ? Date.parse(expires) : Number.NaN
  if (Number.isNaN(until))
    throw new LockError(
      'invalid',
      `client ${name} has an invalid \`expires\`: ${JSON.stringify(expires)} is not like 2027-01-31 or 2027-01-31T18:00:00Z`,
    )
  return until
}
