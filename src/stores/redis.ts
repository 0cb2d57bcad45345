import { processBeacon } from '../beacons/process.ts'
import { makeLacks } from '../channels/lacks.ts'
import { addressOf, isTarget, type RedisClient, sendsAnywhere } from '../channels/redis/client.ts'
import { redisChannel } from '../channels/redis.ts'
import { checkTimeout } from '../channels/timeout.ts'
import { depend, type Fenced, sendFenced } from '../protocol/index.ts'
import type { Beacon, Channel, FencedStore } from '../store.ts'
import { redisEngine } from './redis/engine.ts'
import { doubted } from './redis/rows.ts'
import { fencedScript } from './redis/scripts.ts'
import { type Durability, RedisServer } from './redis/server.ts'
import { Queued, type RedisTransaction } from './redis/transaction.ts'
import { remoteStore } from './remote.ts'

export type { IoRedis, NodeRedis, RedisClient } from '../channels/redis/client.ts'
export { redisFence } from './redis/scripts.ts'
export type { Durability } from './redis/server.ts'
export type { RedisReply, RedisTransaction } from './redis/transaction.ts'

export interface RedisStoreOptions {
  /**
   * The hash tag at the start of all the store's keys, so that a cluster keeps them on one node: give the same tag to data that the locks fence.
   * Default `storelock`.
   */
  prefix?: string | undefined
  /** How long an answer may take, in ms. If an answer is late, waiters repeat the request for up to two minutes. Default 5,000. */
  timeout?: number | undefined
  /** Where a change must be stored before it counts. Without this, a failover to a replica that lags loses the last changes, and locks with them. */
  durability?: Durability | undefined
}

export interface RedisStore extends FencedStore<RedisTransaction> {
  readonly channel: Channel
  readonly beacon?: Beacon | undefined
  /** Makes a transaction that `transaction` has begun depend on one more lock. */
  check(tx: RedisTransaction, lock: Fenced): void
  /**
   * The body adds commands. A script first checks the lock and then runs them, in one round trip. Redis has no rollback: if it refuses a command, the
   * commands before it have been carried out, and the error says so. If the connection is lost before the answer comes, the commands may have been
   * carried out.
   */
  transaction<T>(lock: Fenced, body: (tx: RedisTransaction) => T): Promise<Awaited<T>>
  /**
   * The key and the arguments with which a script of your own checks a lock, by `redisFence`. The key's value changes only when a holder changes, so
   * you can also `WATCH` it.
   */
  fence(lock: Fenced): { readonly keys: [string]; readonly args: [session: string, token: string] }
}

/**
 * A store in Redis or Valkey, shared by all processes that use the same prefix there. It opens two connections of its own, which keep the process
 * alive until `close()`.
 *
 * @param target a URL; or a client or cluster of `redis` or `ioredis`, from which the store takes the options. One of these packages must be
 * installed
 * @throws TypeError if it is neither
 */
export function redisStore(
  target: string | RedisClient,
  { prefix: name = 'storelock', timeout = 5_000, durability }: RedisStoreOptions = {},
): RedisStore {
  if (!isTarget(target)) throw new TypeError('redisStore needs a URL such as redis://127.0.0.1:6379, or a client of redis or ioredis')
  checkTimeout(timeout)
  if (!name || /[{}]/.test(name)) throw new TypeError(`prefix must be a text without braces, not ${JSON.stringify(name)}`)
  if (durability && sendsAnywhere(target)) throw new TypeError('durability needs a cluster of redis: one of ioredis sends WAIT to any node')
  const prefix = `{${name}}`
  const title = `the Redis at ${addressOf(target)}`
  const fenceOf = (key: string): string => `${prefix}:f:${key}`
  const lacks = makeLacks()
  const degraded = (why: string | undefined): void => (why === undefined ? lacks.regain('hints') : lacks.say('hints', `: ${why}`))
  /** How often the server may have gone back to an older state. */
  let doubts = 0
  const gone = (): void => {
    doubts++
    channel.stir()
  }
  const server = new RedisServer(target, { timeout, durability, home: `${prefix}:keys`, reconnected: gone, dropped: () => channel.renew() })
  const channel = redisChannel(target, prefix, (topic, text) => server.command(['PUBLISH', topic, text], 'never'), degraded, timeout)
  const remote = remoteStore(redisEngine(server, prefix, title, gone))
  const beacon = processBeacon()

  return {
    ...remote,
    channel,
    ...(beacon && { beacon }),
    onDegraded: lacks.onDegraded,
    // Every call ends by its own timeout.
    isBusy: () => true,
    async apply(commands) {
      const outcomes = await remote.apply(commands)
      // After a failover or a restart, a session looks at its records before it relies on them again.
      return doubts ? outcomes.map((outcome) => doubted(outcome, doubts)) : outcomes
    },
    fence(lock) {
      lock.assertHeld()
      return { keys: [fenceOf(lock.key)], args: [JSON.stringify(lock.session), String(lock.token)] }
    },
    check: (tx, lock) => depend(tx as Queued, lock),
    async transaction<T>(lock: Fenced, body: (tx: RedisTransaction) => T): Promise<Awaited<T>> {
      server.assertOpen()
      const send = (tx: Queued) => tx.run(title, (keys, args) => server.write(fencedScript, keys.map(fenceOf), args, 'never'))
      return await sendFenced(new Queued(), lock, body, send, title)
    },
    async close() {
      await remote.close()
      channel.close()
      server.close()
    },
  }
}
