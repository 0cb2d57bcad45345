import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

/** What a lockToken stands for: a grant by its fencing token, or without one a session's places in the key's queue. */
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

/** Of the form of a lockToken; another may follow. */
const version = 'sl1'

/**
 * A lockToken: what it stands for and a random nonce, but for the key, which whoever shows the token names,
 * and an HMAC-SHA256 over all of them.
 */
export function makeLockToken({ keys }: KeyRing, { key, session, token }: Grip): string {
  const body = Buffer.from(JSON.stringify([session, token ?? null, nonce()])).toString('base64url')
  return `${version}.${body}.${macOf(keys[0] as Buffer, key, body).toString('base64url')}`
}

/**
 * What a lockToken of this key stands for, by its HMAC alone; `undefined` if no key of the ring made it for this key.
 * Whether that is still held only the store knows.
 */
export function openLockToken({ keys }: KeyRing, key: string, lockToken: string): Grip | undefined {
  const [form, body = '', mac = '', ...rest] = lockToken.split('.')
  if (form !== version || rest.length || !keys.some((secret) => isMac(macOf(secret, key, body), mac))) return undefined
  const [session, token] = JSON.parse(Buffer.from(body, 'base64url').toString()) as [string, number | null]
  return { key, session, token: token ?? undefined }
}

/** Random bytes not used yet: many are made at once, since it is the call that costs. */
let pool = Buffer.alloc(0)

function nonce(): string {
  if (pool.length < nonceBytes) pool = randomBytes(1_000 * nonceBytes)
  const bytes = pool.subarray(0, nonceBytes)
  pool = pool.subarray(nonceBytes)
  return bytes.toString('base64url')
}

const macOf = (secret: Buffer, key: string, body: string): Buffer => createHmac('sha256', secret).update(`${version}.${body}.${key}`).digest()

/** Compares in constant time, and by the very text, since base64 has several for one value. */
function isMac(right: Buffer, given: string): boolean {
  const expected = Buffer.from(right.toString('base64url'))
  const shown = Buffer.from(given)
  return expected.length === shown.length && timingSafeEqual(expected, shown)
}
