import type { Command, Fenced, LockView, Outcome, Sessions } from './protocol/index.ts'

/**
 * A place for records. All that a lock *is* stands in `protocol/`; a store runs commands through its `runBatch`
 * inside one transaction and keeps what comes out.
 *
 * A method rejects with a `LockError`: `store` with the engine's own error as `cause`, or `closed`.
 * A rejected `apply` may or may not have happened, or may happen yet, but for its requests and pins: one that came after its caller
 * had taken it back would stand for nobody.
 */
export interface Store {
  /**
   * Carries out commands, each atomically and durably, all in order where they name the same key or session.
   * Answers one outcome for each: a command that is refused, or whose record is corrupt, spoils no other.
   */
  apply(commands: readonly Command[]): Promise<Outcome[]>
  /**
   * A key's record with the session rows it leans on; `undefined` if there is none. Rejects with `corrupt`, naming the key, if it
   * cannot be read.
   *
   * @param reader the session that looks, and looks again: the rows of the holders, of the head of the queue, its own and the one
   * of whoever stands before it are enough then, so that a look does not grow with the queue. What comes out may be given to other
   * looks as well, so it must not be changed.
   */
  read(key: string, reader?: string): Promise<LockView | undefined>
  /**
   * The rows of those of these sessions that stand, for those far back in the line for `key`: they need no more as long as its holder beats,
   * and this does not grow with the line. Without it, or with `undefined`, they read the record.
   */
  rows?(sessions: readonly string[], key: string): Promise<Sessions | undefined>
  /** The records whose keys start with `prefix`, in the order of their keys. */
  list(prefix?: string, part?: Part): Promise<LockView[]>
  /**
   * Up to `limit` records whose keys start with `prefix` and come after the key `after`, in an order that may be the store's own and never
   * changes. Without it a lock server has to read all of them at once.
   */
  page?(prefix: string, after: string | undefined, limit: number, part?: Part): Promise<LockView[]>
  /** Hints between the sessions of this store. Without one, waiters poll. */
  readonly channel?: Channel | undefined
  /** Proofs of death. Without one, only the lease tells. */
  readonly beacon?: Beacon | undefined
  /**
   * Calls the listener, at once or when it turns out, if hints or proofs cannot be had here, or the store does not answer, with the reason
   * in words; and with `undefined` once nothing is lacking any more. Locks are right all the same: they look now and then, and wait for leases.
   * @returns how to hear no more
   */
  onDegraded?(listener: (why: string | undefined) => void): () => void
  /**
   * Calls the listener when the connection to the records was lost, with the reason in words: what a session said may be gone, so it has
   * to end, at once. @returns how to hear no more
   */
  onLost?(listener: (why: string) => void): () => void
  /**
   * Whether what it has not answered may only wait for somebody's transaction, or ends by a limit of the store's own. Without it, a store
   * that has not answered for a lease is taken for one that hangs.
   */
  isBusy?(): boolean
  /** Whether sessions on several machines share it, whose clocks then need not sleep together. */
  readonly spansMachines?: boolean | undefined
  /** Lets go of what the store opened itself, never of a handle that it was given. May be called twice. */
  close(): Promise<void>
}

/** Which records of a list are wanted, by those who do not need all. */
export interface Part {
  /** Records that nobody holds, wants or pins may be left out: a store that can tell them apart spends no time on them. */
  readonly busy?: boolean | undefined
}

/**
 * A store whose transactions can write what a lock protects: a write made so is refused, in its own transaction,
 * unless the lock is still held when it commits. `Tx` is what the engine calls a transaction.
 */
export interface FencedStore<Tx> extends Store {
  /**
   * Makes a transaction that you have begun fail, with nothing written, unless `lock` is held when it commits.
   * Fails with `lost` or `not-held`, or the engine's own error.
   */
  check(tx: Tx, lock: Fenced): void | Promise<void>
  /**
   * Runs `body` in a transaction of its own that commits only if `lock` is held. Rejects with what the body throws,
   * `lost`, `not-held` or `store`; nothing is written then.
   */
  transaction<T>(lock: Fenced, body: (tx: Tx) => T): Promise<Awaited<T>>
}

/**
 * Publish/subscribe for hints: a message may be lost, doubled or late, and nothing may depend on it.
 * Messages of one sender on one topic that do arrive keep their order. Up to 16,384 bytes are carried, a message and its topic as
 * JSON in UTF-8. What is no message is dropped.
 */
export interface Channel {
  /** Never throws and never waits: who listens, hears. */
  publish(topic: string, message: Message): void
  /** @returns how to stop listening */
  subscribe(topic: string, listener: (message: Message) => void): () => void
  /**
   * Set where only those can publish who could as well write the records. The hint of a grant is then believed until the store has
   * answered; without it, the store is asked first.
   */
  readonly trusted?: boolean | undefined
  /** A topic that all sessions listen on, where one more costs nothing. Whoever finds no session but its own says so there, for others may have lost their rows. */
  readonly commonTopic?: string | undefined
}

/** What a channel carries: plain, structured-cloneable data. */
export type Message = { readonly [name: string]: string | number | boolean | null }

/** Proofs of death: something the system takes away from a context that dies, and never from one that only stops. */
export interface Beacon {
  /**
   * Raises a beacon for a session, before its first command. Rejects if it cannot: the session does without, and `onDegraded` has told why.
   * One that takes longer than a second is done without as well, and lowered when it comes.
   */
  raise(session: string): Promise<RaisedBeacon>
  /** Resolves only when the owner of the beacon is proved dead or has lowered it; rejects when `signal` aborts. */
  watch(address: string, signal: AbortSignal): Promise<void>
  /** Whether that is so now, for those who do not wait: true only where `watch` would resolve. Without it they learn it from leases. */
  isOut?(address: string): Promise<boolean>
  /** Where beacons are native Web Locks, which any page or worker of the origin can hold: the name of the lock that is a session's. */
  lockFor?(session: string): Promise<string>
}

export interface RaisedBeacon {
  /** Where others watch it; stands in the session's row. It may change, and `moved` then resolves. */
  readonly address: string
  readonly moved?: Promise<unknown> | undefined
  /** Resolves if the beacon goes out while its owner lives, with the reason in words if it has one: the session must then end. */
  readonly lost: Promise<unknown>
  lower(): void
  /** Its session was ended by others though it lives: a proof may have been wrong. */
  doubt?(): void
}
