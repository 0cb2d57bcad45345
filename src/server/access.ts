import { createHash, timingSafeEqual } from 'node:crypto'
import { LockError } from '../protocol/index.ts'
import { ownerOf } from './owners.ts'

/** Who may use the server. */
export interface ClientCredential {
  /** Stands in the log. Whoever has a credential of the same name and the client's key owns its sessions. */
  readonly name: string
  /** The bearer token; 16 characters or more. */
  readonly token: string
  /** What the keys start with that it may use, read and hear of. Default: all keys. */
  readonly prefixes?: readonly string[]
  /** Whether it may revoke, pin, unpin and sweep, and see the figures and what in the log is of no key. */
  readonly admin?: boolean
}

/** Who sent a request, and what that credential allows. */
export interface Caller {
  /** The credential's name; '' where none are configured. */
  readonly name: string
  readonly address: string | undefined
  /** Of the credential and the client key, as a hash; without a client key it owns nothing. */
  readonly owner: string
  readonly admin: boolean
  /** '' among them allows everything. */
  readonly prefixes: readonly string[]
  mayUse(key: string): boolean
  /** Whether it may listen to a topic that is no session's. */
  mayHear(topic: string): boolean
}

/** Shortest bearer token and client key, in characters. */
const minToken = 16
const clientKeys = /^[\w-]{16,128}$/

interface Credential extends ClientCredential {
  readonly hash: Buffer
}

/** Finds out who a request is of. */
export class Access {
  readonly #credentials: readonly Credential[]

  /** @throws LockError `invalid` if a credential is too weak or a name is there twice */
  constructor(clients: readonly ClientCredential[] | undefined) {
    if (clients && !clients.length)
      throw new LockError('invalid', 'the list of clients is empty: name one, or give no list, which lets in whoever reaches the server')
    const names = new Set<string>()
    const tokens = new Map<string, string>()
    for (const { name, token } of clients ?? []) {
      if (!name || names.has(name)) throw new LockError('invalid', `each client needs a name of its own, and ${JSON.stringify(name)} is not`)
      if (token.length < minToken)
        throw new LockError('invalid', `the token of client ${name} is too short: give it ${minToken} random characters or more`)
      if (!/^[!-~]*$/.test(token))
        throw new LockError('invalid', `the token of client ${name} cannot go in a header: take ASCII letters, digits and signs`)
      const twin = tokens.get(token)
      if (twin !== undefined) throw new LockError('invalid', `the clients ${twin} and ${name} have the same token: give each its own`)
      tokens.set(token, name)
      names.add(name)
    }
    this.#credentials = (clients ?? []).map((client) => ({ ...client, hash: hashOf(client.token) }))
  }

  /** Whether whoever reaches the server may use it. */
  get open(): boolean {
    return !this.#credentials.length
  }

  /** Who sees what everybody may see. */
  nobody(address: string | undefined): Caller {
    return { name: '', address, owner: '', admin: false, prefixes: [], mayUse: () => false, mayHear: () => false }
  }

  /** @returns the caller, or in words why it is none */
  callerOf(authorization: string | null, clientKey: string | null, address: string | undefined): Caller | string {
    if (clientKey !== null && !clientKeys.test(clientKey)) return 'the client key has to be 16 to 128 random letters, digits, _ or -'
    const own = (name: string): string => (clientKey === null ? '' : ownerOf(name, clientKey))
    if (this.open) return { name: '', address, owner: own(''), admin: true, prefixes: [''], mayUse: () => true, mayHear: () => true }
    const [scheme, token = ''] = (authorization ?? '').split(' ')
    const shown = hashOf(token)
    // All are compared, so that the time tells nothing.
    const [credential] = this.#credentials.filter(({ hash }) => timingSafeEqual(hash, shown))
    if (scheme?.toLowerCase() !== 'bearer' || !credential) return 'the bearer token is missing or unknown'
    const { name, admin = false, prefixes = [''] } = credential
    const allowed = (key: string): boolean => prefixes.some((prefix) => key.startsWith(prefix))
    return { name, address, owner: own(name), admin, prefixes, mayUse: allowed, mayHear: allowed }
  }
}

const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest()
