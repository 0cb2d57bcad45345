import { processBeacon } from '../beacons/process.ts'
import { EtcdClient, type EtcdOptions } from '../channels/etcd/client.ts'
import { decode, encode, memberUrl, rangeEnd } from '../channels/etcd/form.ts'
import { etcdChannel } from '../channels/etcd.ts'
import { makeLacks } from '../channels/lacks.ts'
import { checkTimeout } from '../channels/timeout.ts'
import { depend, type Fenced, LockError, type Outcome, sendFenced } from '../protocol/index.ts'
import type { Beacon, Channel, FencedStore } from '../store.ts'
import { fenceId, operationsFor, partsOf } from './etcd/operations.ts'
import { type EtcdTransaction, Fences, type KeyValue, Queued, sameRevision, type TxnReply } from './etcd/transaction.ts'
import { type Engine, type Row, remoteStore } from './remote.ts'

export type { EtcdOptions } from '../channels/etcd/client.ts'
export { EtcdError } from '../channels/etcd/errors.ts'
export type { EtcdReply, EtcdTransaction } from './etcd/transaction.ts'

export interface EtcdStoreOptions extends EtcdOptions {
  /** The prefix of the store's keys. Default `storelock`. */
  prefix?: string | undefined
}

export interface EtcdStore extends FencedStore<EtcdTransaction> {
  readonly channel: Channel
  readonly beacon?: Beacon | undefined
  /** Makes a transaction that `transaction` has begun depend on one more lock. */
  check(tx: EtcdTransaction, lock: Fenced): void
  /**
   * Runs the body's operations in one etcd transaction that compares the lock's fence. If the connection is lost before the answer comes, the
   * transaction may have been carried out.
   */
  transaction<T>(lock: Fenced, body: (tx: EtcdTransaction) => T): Promise<Awaited<T>>
  /**
   * For transactions of your own client: compare the mod revision of this key with this revision. The lock is held as long as they are equal. If they
   * differ, call `compare` again: another session may have joined a shared lock. Rejects with `lost` or `not-held`.
   */
  compare(lock: Fenced): Promise<{ readonly key: string; readonly revision: string }>
}

/**
 * How many commands go in one batch, and how many keys one request reads: etcd allows 128 operations in a transaction, and a command needs up to
 * five.
 */
const [together, portion] = [24, 100]
/** How many session rows a beat looks at, and how many it returns. */
const [looked, shown] = [64, 16]

/**
 * A store in etcd, over the JSON API of its members. Its watches keep the process alive until `close()`.
 *
 * @param members the URLs of one or more members of a cluster, such as `http://127.0.0.1:2379`
 * @throws TypeError if there is no URL, or an invalid one
 */
export function etcdStore(members: string | readonly string[], { prefix = 'storelock', ...options }: EtcdStoreOptions = {}): EtcdStore {
  const urls = (typeof members === 'string' ? [members] : members).map(memberUrl)
  const { timeout = 5_000 } = options
  if (!urls.length) throw new TypeError('etcdStore needs the URL of at least one member')
  checkTimeout(timeout)
  const title = `the etcd at ${urls.join(', ')}`
  const client = new EtcdClient(urls, options)
  const lacks = makeLacks()
  const channel = etcdChannel(client, prefix, (why) => (why === undefined ? lacks.regain('hints') : lacks.say('hints', `: ${why}`)))
  const keyOf = (id: string): string => `${prefix}/${id}`
  const fences = new Fences(client, (key) => keyOf(fenceId(key)))
  /** The session after which the next beat looks for overdue ones. */
  let next = ''

  const range = async (from: string, end: string, more: object): Promise<readonly KeyValue[]> =>
    (await client.call<{ kvs?: KeyValue[] }>('kv/range', { key: encode(from), range_end: rangeEnd(end), ...more }, true)).kvs ?? []
  const engine: Engine<string> = {
    title,
    now: Date.now,
    largest: together,
    async fetch(ids) {
      const rows = new Map<string, Row<string>>()
      let revision: string | undefined
      for (let at = 0; at < ids.length; at += portion) {
        const some = ids.slice(at, at + portion)
        // All rows as they were at the revision of the first read.
        const success = some.map((id) => ({ request_range: { key: encode(keyOf(id)), ...(revision !== undefined && { revision }) } }))
        const { header, responses = [] } = await client.call<TxnReply>('kv/txn', { success }, true)
        revision ??= header.revision
        some.forEach((id, index) => {
          const found = responses[index]?.response_range?.kvs?.[0]
          if (found) rows.set(id, { version: found.mod_revision, text: decode(found.value) })
        })
      }
      return rows
    },
    async commit(seen, writes) {
      const compare = Array.from(seen, ([id, version = '0']) => sameRevision(keyOf(id), version))
      const success = operationsFor(writes, keyOf, channel)
      const { succeeded, header } = await client.call<TxnReply>('kv/txn', { compare, success })
      return succeeded ? header.revision : undefined
    },
    async keys(prefix, { after, limit = 0 }) {
      const start = keyOf(`r:${prefix}`)
      const from = after === undefined ? start : `${keyOf(`r:${after}`)}\0`
      const found = await range(from, start, { keys_only: true, limit: String(limit) })
      return found.map(({ key }) => decode(key).slice(keyOf('r:').length))
    },
    async stale(now, after) {
      const [all, from] = [keyOf('s:'), after ?? next]
      const rows = [...(await range(`${all}${from}\0`, all, { limit: String(looked) }))]
      // The rows up to that session, unless the range began with the first row.
      if (from && rows.length < looked)
        rows.push(...(await range(all, all, { limit: String(looked - rows.length) })).filter(({ key }) => !rows.some((row) => row.key === key)))
      const found = rows.map(({ key, value }) => [decode(key).slice(all.length), decode(value)] as const)
      if (after !== undefined) return found.slice(0, shown)
      // etcd has no index by expiry time, so each beat looks at a part of the sessions.
      next = rows.length < looked ? '' : (found.at(-1)?.[0] ?? '')
      return found.filter(([, text]) => ((JSON.parse(text) as number[])[4] as number) < now).slice(0, shown)
    },
  }
  const remote = remoteStore(engine)
  const beacon = processBeacon()

  return {
    ...remote,
    channel,
    ...(beacon && { beacon }),
    onDegraded: lacks.onDegraded,
    // Every call ends by its own timeout.
    isBusy: () => true,
    async apply(commands) {
      const outcomes: Outcome[] = []
      for (const some of partsOf(commands, together)) outcomes.push(...(await remote.apply(some)))
      return outcomes
    },
    compare: (lock) => fences.find(lock),
    check: (tx, lock) => depend(tx as Queued, lock),
    async transaction<T>(lock: Fenced, body: (tx: EtcdTransaction) => T): Promise<Awaited<T>> {
      if (client.isClosed) throw new LockError('closed', 'the store was closed')
      return await sendFenced(new Queued(), lock, body, (tx) => fences.run(tx), title)
    },
    async close() {
      await remote.close()
      channel.close()
      client.close()
    },
  }
}
