import type { Command, Fenced, LockView, Outcome, Sessions } from './protocol/index.ts'

/**
 * A place for records. The rules of a lock are in `protocol/`; a store runs commands through its `runBatch` inside one transaction and writes the
 * result.
 *
 * A method rejects with a `LockError`: `store` with the engine's own error as `cause`, or `closed`. If `apply` rejects, the store may or may not have
 * carried out the commands, and may still do so later. It must not carry out requests and pins later: their caller may have given up, and they would
 * stay for ever.
 */
export interface Store {
  /**
   * Carries out commands, each atomically and durably, and in order if they name the same key or session. Resolves with one outcome for each: a
   * command that is refused, or whose record is corrupt, does not affect the others.
   */
  apply(commands: readonly Command[]): Promise<Outcome[]>
  /**
   * A key's record with the session rows it leans on; `undefined` if there is none. Rejects with `corrupt`, naming the key, if it cannot be read.
   *
   * @param reader the session that looks. Some rows are then enough, so that the cost of a look does not grow with the queue: those of the holders,
   * of the head of the queue, of the reader, of the waiter in front of it (the last waiter, if the reader is not in the queue) and, if the reader
   * holds the lock, of the waiters that ask for it. Other looks may share the result, so the reader must not change it.
   */
  read(key: string, reader?: string): Promise<LockView | undefined>
  /**
   * The existing rows of these sessions. Waiters far back in the queue for `key` read only these rows while its holder beats, so that the cost does
   * not grow with the queue. If the method is missing or resolves with `undefined`, they read the record.
   */
  rows?(sessions: readonly string[], key: string): Promise<Sessions | undefined>
  /** The records whose keys start with `prefix`, in the order of their keys. */
  list(prefix?: string, part?: Part): Promise<LockView[]>
  /**
   * Up to `limit` records whose keys start with `prefix` and come after the key `after`, in an order of the store's choice that never changes.
   * Without this method a lock server has to read all of them at once.
   */
  page?(prefix: string, after: string | undefined, limit: number, part?: Part): Promise<LockView[]>
  /** Hints between the sessions of this store. Without one, waiters poll. */
  readonly channel?: Channel | undefined
  /** Proofs of death. Without one, a dead session is noticed only when its lease ends. */
  readonly beacon?: Beacon | undefined
  /**
   * Calls the listener, with the reason in words, when hints or proofs of death are not available here, or the store does not answer; at once if the
   * store knows this already. Calls it with `undefined` once everything works again. Locks stay correct meanwhile: waiters poll, and wait for leases
   * to end.
   * @returns how to stop listening
   */
  onDegraded?(listener: (why: string | undefined) => void): () => void
  /**
   * Calls the listener, with the reason in words, when the connection to the records was lost: the session's row may be gone, so the session must end
   * at once.
   * @returns how to stop listening
   */
  onLost?(listener: (why: string) => void): () => void
  /**
   * Whether pending calls may only be waiting for another transaction, or will end by the store's own timeout. Without this method, a session
   * considers the store hung if it has not answered for a lease.
   */
  isBusy?(): boolean
  /** Whether sessions on several machines share the store. These machines may sleep at different times. */
  readonly spansMachines?: boolean | undefined
  /** Closes what the store opened itself, never a handle that it was given. May be called twice. */
  close(): Promise<void>
}

/** Which records of a list the caller needs. */
export interface Part {
  /** Records that nobody holds, waits for or pins may be left out: a store that can tell them apart need not read them. */
  readonly busy?: boolean | undefined
}

/**
 * A store whose transactions can also write the data that a lock protects: such a write is refused, in its own transaction, unless the lock is still
 * held when it commits. `Tx` is the engine's transaction.
 */
export interface FencedStore<Tx> extends Store {
  /**
   * Makes a transaction that you have begun fail, with nothing written, unless `lock` is held when it commits. Fails with `lost` or `not-held`, or
   * the engine's own error.
   */
  check(tx: Tx, lock: Fenced): void | Promise<void>
  /**
   * Runs `body` in a transaction of its own that commits only if `lock` is held. Rejects with the body's error, `lost`, `not-held` or `store`;
   * nothing is written then.
   */
  transaction<T>(lock: Fenced, body: (tx: Tx) => T): Promise<Awaited<T>>
}

/**
 * Publish/subscribe for hints: a message may be lost, doubled or late, and nothing may depend on it. Messages of one sender on one topic that arrive
 * keep their order. A message and its topic may have up to 16,384 bytes as JSON in UTF-8. Anything that is not a message is dropped.
 */
export interface Channel {
  /** Never throws and never waits. Reaches the current subscribers only. */
  publish(topic: string, message: Message): void
  /**
   * A channel that does not hear a topic at once, or did not for a while, delivers an empty message when it hears it: others may have been missed.
   * @returns how to stop listening
   */
  subscribe(topic: string, listener: (message: Message) => void): () => void
  /**
   * Set if only sessions that can write the records can publish. A waiter then believes the hint of a grant until the store has answered; otherwise
   * it asks the store first.
   */
  readonly trusted?: boolean | undefined
  /**
   * A topic that all sessions subscribe to, if one more subscription costs nothing. A session that finds no other session's row publishes here,
   * because the other sessions may have lost their rows.
   */
  readonly commonTopic?: string | undefined
}

/** What a channel carries: plain, structured-cloneable data. */
export type Message = { readonly [name: string]: string | number | boolean | null }

/** Proofs of death: something that the operating system or browser takes away when a context dies, but not when it only stops. */
export interface Beacon {
  /**
   * Raises a beacon for a session, before its first command. If it rejects, or takes longer than a second, the session runs without it, and a crash
   * is noticed only when its lease ends. The session uses a late beacon as soon as it is up.
   */
  raise(session: string): Promise<RaisedBeacon>
  /** Resolves only when the owner of the beacon is proved dead or has lowered it; rejects when `signal` aborts. */
  watch(address: string, signal: AbortSignal): Promise<void>
  /** Whether `watch` would resolve now, for callers that do not wait. Without this method, they notice a dead session only by its lease. */
  isOut?(address: string): Promise<boolean>
  /** The name of a session's lock, if beacons are native Web Locks, which any page or worker of the origin can hold. */
  lockFor?(session: string): Promise<string>
}

export interface RaisedBeacon {
  /** Where other sessions watch it; stored in the session's row. It may change, and `moved` then resolves. */
  readonly address: string
  readonly moved?: Promise<unknown> | undefined
  /** Resolves if the beacon goes out although its owner is alive, with the reason in words if it has one: the session must then end. */
  readonly lost: Promise<unknown>
  lower(): void
  /** Another session ended the beacon's session although it is alive: a proof of death may have been wrong. */
  doubt?(): void
}

/** A store that does all that another one does, except what `changes` replaces. `undefined` removes an optional member. */
export const storeWith = <S extends Partial<Store>>(store: S, changes: Partial<Store>): S =>
  // Not a proxy of the store itself: the methods of a frozen one could not be replaced.
  new Proxy(Object.create(store) as S, {
    get(_, name) {
      if (Object.hasOwn(changes, name)) return changes[name as keyof Store]
      const member: unknown = Reflect.get(store, name)
      // A method may use its object's private fields, which a proxy does not have.
      return typeof member === 'function' ? member.bind(store) : member
    },
  })
