import { timingSafeEqual } from 'node:crypto'
import { LockError } from '../protocol/index.ts'
import type { ClientCertificate } from './certificates.ts'
import { type ClientCredential, type Credential, checkedCredentials, credentialOf, hashOfToken } from './credentials.ts'
import { ownerOf } from './owners.ts'

/** The sender of a request, and what its credential allows. */
export interface Caller {
  /** The credential's name; '' if no credentials are configured. */
  readonly name: string
  readonly address: string | undefined
  /** A hash of the credential and the client key. Empty without a client key: then the caller owns no sessions. */
  readonly owner: string
  readonly admin: boolean
  readonly readOnly: boolean
  readonly maySteal: boolean
  readonly mayAsk: boolean
  /** An empty prefix allows everything. */
  readonly prefixes: readonly string[]
  mayUse(key: string): boolean
  /** Whether the caller may listen to a topic that is not a session's. */
  mayHear(topic: string): boolean
  /** Whether its credential is still valid, with the same rights. */
  stands(): boolean
}

const clientKeys = /^[\w-]{16,128}$/
/** The most callers that are cached: identifying one takes two hashes. */
const capacity = 1_000

/** Identifies the sender of a request. */
export class Access {
  #credentials: readonly Credential[]
  /** Recent callers, by everything that they sent. A `Map` hashes with a seed of this process, so the time of a lookup reveals nothing. */
  readonly #callers = new Map<string, Caller>()

  /** @throws LockError `invalid` as {@link checkedCredentials} */
  constructor(clients: readonly ClientCredential[] | undefined) {
    this.#credentials = clients ? checkedCredentials(clients) : []
  }

  /** Whether every client that can reach the server may use it. */
  get open(): boolean {
    return !this.#credentials.length
  }

  /** Replaces the clients. @throws LockError `invalid`, and then nothing changes */
  replace(clients: readonly ClientCredential[]): void {
    if (this.open)
      throw new LockError('invalid', 'a server that was started without clients serves everyone who can reach it: restart it to set some')
    this.#credentials = checkedCredentials(clients)
    this.#callers.clear()
  }

  /** A caller without a credential, which sees only what is public. */
  nobody(address: string | undefined): Caller {
    return { ...everything, name: '', address, owner: '', admin: false, prefixes: [], mayUse: () => false, mayHear: () => false }
  }

  /** @returns the caller, or the reason in words if the request is refused */
  callerOf(
    authorization: string | null,
    clientKey: string | null,
    address: string | undefined,
    certificate?: ClientCertificate | undefined,
  ): Caller | string {
    if (authorization === null && certificate) return this.#find(authorization, clientKey, address, certificate)
    // A header cannot contain a line feed, so '\n' stands for a missing one.
    const shown = `${authorization ?? '\n'}\n${clientKey ?? '\n'}\n${address}`
    const known = this.#callers.get(shown)
    if (known?.stands()) return known
    const caller = this.#find(authorization, clientKey, address, certificate)
    if (typeof caller === 'string') return caller
    if (this.#callers.size >= capacity) this.#callers.clear()
    this.#callers.set(shown, caller)
    return caller
  }

  #find(
    authorization: string | null,
    clientKey: string | null,
    address: string | undefined,
    certificate: ClientCertificate | undefined,
  ): Caller | string {
    if (clientKey !== null && !clientKeys.test(clientKey)) return 'the client key has to be 16 to 128 random letters, digits, _ or -'
    const own = (name: string): string => (clientKey === null ? '' : ownerOf(name, clientKey))
    if (this.open) return { ...everything, address, owner: own(''), stands: () => this.open }
    const credential = authorization === null && certificate ? credentialOf(this.#credentials, certificate) : this.#bearerOf(authorization ?? '')
    if (!credential) return authorization === null && certificate ? 'the certificate belongs to no client' : 'the bearer token is missing or unknown'
    const { name, until, text, admin = false, readOnly = false, steal = admin, ask = true, prefixes = [''] } = credential
    const isOver = (): boolean => Date.now() >= until
    if (isOver()) return `the credential of client ${name} has expired`
    const allowed = (key: string): boolean => prefixes.some((prefix) => key.startsWith(prefix))
    const stands = (): boolean => !isOver() && this.#credentials.some((each) => each.text === text)
    const rights = { admin, readOnly, maySteal: steal, mayAsk: ask, prefixes, mayUse: allowed, mayHear: allowed }
    return { name, address, owner: own(name), ...rights, stands }
  }

  #bearerOf(authorization: string): Credential | undefined {
    const [scheme, token = ''] = authorization.split(' ')
    const shown = hashOfToken(token)
    // All are compared, so that the time reveals nothing.
    const [credential] = this.#credentials.filter(({ hash }) => timingSafeEqual(hash, shown))
    return scheme?.toLowerCase() === 'bearer' ? credential : undefined
  }
}

/** The rights of every caller if there are no credentials. */
const everything = {
  ...{ name: '', admin: true, readOnly: false, maySteal: true, mayAsk: true, prefixes: [''] },
  ...{ mayUse: () => true, mayHear: () => true, stands: () => true },
}
