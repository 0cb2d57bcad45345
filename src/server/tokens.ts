import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

/** What a lockToken proves: a grant with its fencing token, or without one a session's places in the key's queue. */
export interface Grip {
  readonly key: string
  readonly session: string
  readonly token?: number | undefined
}

/** The keys of lockTokens: the first one signs, all verify. */
export interface KeyRing {
  keys: readonly Buffer[]
}

const nonceBytes = 12

/** The version of the lockToken format. */
const version = 'sl1'

/** A lockToken: its contents and a random nonce, without the key, which whoever shows the token also gives, and an HMAC-SHA256 over all of them. */
export function makeLockToken({ keys }: KeyRing, { key, session, token }: Grip): string {
  const body = Buffer.from(JSON.stringify([session, token ?? null, nonce()])).toString('base64url')
  return `${version}.${body}.${macOf(keys[0] as Buffer, key, body).toString('base64url')}`
}

/**
 * The contents of a lockToken of this key, verified only by its HMAC; `undefined` if no key of the ring signed it for this lock. Whether that is
 * still held only the store knows.
 */
export function openLockToken({ keys }: KeyRing, key: string, lockToken: string): Grip | undefined {
  const [form, body = '', mac = '', ...rest] = lockToken.split('.')
  if (form !== version || rest.length || !keys.some((secret) => isMac(macOf(secret, key, body), mac))) return undefined
  const [session, token] = JSON.parse(Buffer.from(body, 'base64url').toString()) as [string, number | null]
  return { key, session, token: token ?? undefined }
}

/** Unused random bytes: many are made at once, since the call is what costs. */
let pool = Buffer.alloc(0)

function nonce(): string {
  if (pool.length < nonceBytes) pool = randomBytes(1_000 * nonceBytes)
  const bytes = pool.subarray(0, nonceBytes)
  pool = pool.subarray(nonceBytes)
  return bytes.toString('base64url')
}

const macOf = (secret: Buffer, key: string, body: string): Buffer => createHmac('sha256', secret).update(`${version}.${body}.${key}`).digest()

/** Compares in constant time, and by text, since base64 has several texts for one value. */
function isMac(right: Buffer, given: string): boolean {
  const expected = Buffer.from(right.toString('base64url'))
  const shown = Buffer.from(given)
  return expected.length === shown.length && timingSafeEqual(expected, shown)
}
