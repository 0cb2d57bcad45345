import type { Addresses } from '../servers.ts'

/** What processes must have in common to share a lock. */
export interface Place {
  readonly folder: string
  readonly servers: Addresses
  /** Whether this is the first of two processes. The second opens its end first. */
  readonly first: boolean
}

/** One process's end of a lock. */
export interface Locker {
  /** @returns a function that releases the lock */
  acquire(): Promise<() => unknown>
  close(): unknown
}

/** A lock between processes in one of its configurations, or another thing that passes from one process to another. */
export interface Peer {
  /** The name in tables, with the configuration. */
  readonly title: string
  /** The server that it needs. */
  readonly server?: keyof Addresses
  /**
   * The shortest and the longest time for which the lock is held before a hand-off, in ms. For a peer that polls, this covers its whole
   * pause: a fixed time would make it seem faster or slower than it is.
   */
  readonly held: readonly [from: number, to: number]
  /** Hand-offs in a round. A slow peer has fewer. */
  readonly handoffs: number
  open(place: Place): Promise<Locker>
}
