import type { EtcdClient } from '../../channels/etcd/client.ts'
import { decode, encode } from '../../channels/etcd/form.ts'
import { type Fenced, fencedOut, LockError, type LockRecord, lastTokenOf } from '../../protocol/index.ts'

/** The result of a read in a fenced transaction. */
export interface EtcdReply {
  /** @throws LockError `invalid` before the transaction is over */
  readonly value: string | undefined
}

/** An etcd transaction that is being put together. It succeeds only if the locks are held, and can write a key only once. */
export interface EtcdTransaction {
  put(key: string, value: string | Uint8Array): void
  delete(key: string): void
  /** Reads the value from before the transaction, or from an earlier write in it. */
  get(key: string): EtcdReply
}

/** The fence of a key: its holders after the last grant or eviction. */
type FenceRow = readonly (readonly [session: string, token: number, last: number])[]

export const fenceText = ({ holders }: LockRecord): string =>
  JSON.stringify(holders.map((holder) => [holder.session, holder.token, lastTokenOf(holder)]) satisfies FenceRow)

export interface KeyValue {
  readonly key: string
  readonly value?: string
  readonly mod_revision: string
}

export interface TxnReply {
  readonly header: { readonly revision: string }
  readonly succeeded?: boolean
  readonly responses?: readonly { readonly response_range?: { readonly kvs?: readonly KeyValue[] } }[]
}

/** A comparison that makes a transaction fail unless a key still has this revision; '0' means that the key must be missing. */
export const sameRevision = (key: string, revision: string): object => ({ key: encode(key), target: 'MOD', result: 'EQUAL', mod_revision: revision })

/** How often a transaction is tried while the lock is held but other sessions change its holders. */
const most = 20

/** For each lock, the revision at which its fence was last seen to name it. */
const seen = new WeakMap<Fenced, string>()

export class Fences {
  readonly #client: EtcdClient
  readonly #keyOf: (key: string) => string

  constructor(client: EtcdClient, keyOf: (key: string) => string) {
    this.#client = client
    this.#keyOf = keyOf
  }

  /** The key of a lock's fence, and the revision that it has as long as the lock is held. @throws LockError `lost` */
  async find(lock: Fenced): Promise<{ readonly key: string; readonly revision: string }> {
    lock.assertHeld()
    const key = this.#keyOf(lock.key)
    const known = seen.get(lock)
    if (known) return { key, revision: known }
    const { kvs: [found] = [] } = await this.#client.call<{ kvs?: KeyValue[] }>('kv/range', { key: encode(key) }, true)
    const row = found ? (JSON.parse(decode(found.value)) as FenceRow) : []
    const named = row.some(([session, token, last]) => session === lock.session && token <= lock.token && lock.token <= last)
    if (!found || !named) throw fencedOut(lock)
    seen.set(lock, found.mod_revision)
    return { key, revision: found.mod_revision }
  }

  /** Carries out the transaction. @throws LockError `lost` */
  async run(tx: Queued): Promise<void> {
    tx.close()
    for (let tried = 0; tried < most; tried++) {
      const fences = await Promise.all(Array.from(tx.locks, (lock) => this.find(lock)))
      const compare = fences.map(({ key, revision }) => sameRevision(key, revision))
      const reply = await this.#client.call<TxnReply>('kv/txn', { compare, success: tx.operations })
      if (reply.succeeded) return tx.answer(reply)
      for (const lock of tx.locks) seen.delete(lock)
    }
    throw new LockError('store', `others have changed the holders of the lock ${most} times meanwhile, so nothing was written`)
  }
}

export class Queued implements EtcdTransaction {
  readonly locks = new Set<Fenced>()
  readonly operations: object[] = []
  #reply: TxnReply | undefined
  #closed = false

  put(key: string, value: string | Uint8Array): void {
    this.#add({ request_put: { key: encode(key), value: encode(value) } })
  }

  delete(key: string): void {
    this.#add({ request_delete_range: { key: encode(key) } })
  }

  get(key: string): EtcdReply {
    const index = this.#add({ request_range: { key: encode(key) } })
    const read = (): string | undefined => {
      if (!this.#reply) throw new LockError('invalid', 'what a transaction has read is there once it is over')
      const found = this.#reply.responses?.[index]?.response_range?.kvs?.[0]
      return found && decode(found.value)
    }
    return {
      get value() {
        return read()
      },
    }
  }

  #add(operation: object): number {
    if (this.#closed) throw new LockError('invalid', 'this transaction has been sent already: add to it before its body ends')
    return this.operations.push(operation) - 1
  }

  close(): void {
    this.#closed = true
  }

  answer(reply: TxnReply): void {
    this.#reply = reply
  }
}
