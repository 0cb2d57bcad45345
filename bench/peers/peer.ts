import type { Addresses } from '../servers.ts'

/** What processes need to share to share a lock. */
export interface Place {
  readonly folder: string
  readonly servers: Addresses
  /** Whether this one is the first of two; the second opens its end before. */
  readonly first: boolean
}

/** One process' end of a lock. */
export interface Locker {
  /** @returns how to release it */
  acquire(): Promise<() => unknown>
  close(): unknown
}

/** A lock between processes, in one of its configurations; or something else that goes from one to another. */
export interface Peer {
  /** As a table names it, with its configuration. */
  readonly title: string
  /** Which server it cannot do without. */
  readonly server?: keyof Addresses
  /**
   * For how long it is held when it is handed on, in ms: from the first of these to the second. Those who look again after a pause
   * are met at any time of that pause, else they would seem faster or slower than they are.
   */
  readonly held: readonly [from: number, to: number]
  /** Hand-offs in a round. A slow one has fewer. */
  readonly handoffs: number
  open(place: Place): Promise<Locker>
}
