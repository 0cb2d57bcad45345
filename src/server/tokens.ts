import { createHmac, createSecretKey, type KeyObject, randomBytes, timingSafeEqual } from 'node:crypto'

/** What a lockToken proves: a grant, if it has a fencing token; otherwise a session's places in the key's queue. */
export interface Grip {
  readonly key: string
  readonly session: string
  readonly token?: number | undefined
}

const nonceBytes = 12

/** The version of the lockToken format. */
const version = 'sl1'

/** The HMACs of up to twice this many lockTokens are remembered: most lockTokens come back soon, and need no second HMAC. */
const remembered = 1_000

/** The keys of lockTokens: the first one signs, all verify. */
export class KeyRing {
  #keys: readonly KeyObject[]
  /** The HMACs made recently, by the signed text, and those made before them. */
  #lately = new Map<string, string>()
  #before = new Map<string, string>()

  constructor(keys: readonly Buffer[]) {
    this.#keys = keys.map(createSecretKey)
  }

  /** Signs and verifies with these keys from now on. */
  replace(keys: readonly Buffer[]): void {
    this.#keys = keys.map(createSecretKey)
    this.#lately = new Map()
    this.#before = new Map()
  }

  /** Fingerprints by which servers compare their keys without revealing them. The fingerprint of the key that signs is first. */
  prints(): readonly string[] {
    return this.#keys.map((key) => macOf(key, 'which key of storelock this is').slice(0, 16))
  }

  sign(text: string): string {
    const mac = macOf(this.#keys[0] as KeyObject, text)
    if (this.#lately.size >= remembered) {
      this.#before = this.#lately
      this.#lately = new Map()
    }
    this.#lately.set(text, mac)
    return mac
  }

  verifies(text: string, shown: string): boolean {
    const known = this.#lately.get(text) ?? this.#before.get(text)
    if (known !== undefined && isSame(known, shown)) return true
    return this.#keys.some((key) => isSame(macOf(key, text), shown))
  }
}

/** A lockToken: its contents, a random nonce, and an HMAC-SHA256 over them and the key. It does not contain the key, which clients send with it. */
export function makeLockToken(ring: KeyRing, { key, session, token }: Grip): string {
  const body = Buffer.from(JSON.stringify([session, token ?? null, nonce()])).toString('base64url')
  return `${version}.${body}.${ring.sign(`${version}.${body}.${key}`)}`
}

/**
 * The contents of a lockToken of this key, verified only by its HMAC; `undefined` if no key of the ring signed it for this lock. Only the store knows
 * whether the lock is still held.
 */
export function openLockToken(ring: KeyRing, key: string, lockToken: string): Grip | undefined {
  const [form, body = '', mac = '', ...rest] = lockToken.split('.')
  if (form !== version || rest.length || !ring.verifies(`${version}.${body}.${key}`, mac)) return undefined
  const [session, token] = JSON.parse(Buffer.from(body, 'base64url').toString()) as [string, number | null]
  return { key, session, token: token ?? undefined }
}

/** Unused random bytes: many are made at once, since the call costs more than the bytes. */
let pool = Buffer.alloc(0)

function nonce(): string {
  if (pool.length < nonceBytes) pool = randomBytes(1_000 * nonceBytes)
  const bytes = pool.subarray(0, nonceBytes)
  pool = pool.subarray(nonceBytes)
  return bytes.toString('base64url')
}

const macOf = (key: KeyObject, text: string): string => createHmac('sha256', key).update(text).digest('base64url')

/** Compares in constant time, and by text, since base64 has several texts for one value. */
function isSame(right: string, given: string): boolean {
  const [expected, shown] = [Buffer.from(right), Buffer.from(given)]
  return expected.length === shown.length && timingSafeEqual(expected, shown)
}
