import { frameReader } from '../src/channels/socket/frames.ts'
import type { Inbox, InboxEvents } from '../src/channels/socket/inbox.ts'
import type { Peers as RealPeers } from '../src/channels/socket/peers.ts'
import type { Place as RealPlace } from '../src/channels/socket/place.ts'
import type { Process, World } from './parts.ts'

/** Replaces `channels/socket/place.ts`, `inbox.ts` and `peers.ts`, without files and sockets. */

interface Socket {
  readonly process: Process
  read(piece: string): boolean
}

let world: World
/** By topic and name. Sockets of dead processes stay, as their files would. */
let sockets: Map<string, Map<string, Socket>>
let made: number

/** Sets the world whose processes connect to each other here. */
export function meetIn(next: World): void {
  world = next
  sockets = new Map()
  made = 0
}

interface Place extends Pick<RealPlace, 'known' | 'find' | 'has' | 'old' | 'leave'> {
  readonly process: Process
}

/** @param identity the name of the process. All processes of a world are in one place */
export function openPlace(identity: string): Place {
  const process = world.everyone.get(identity) as Process
  const listed = new Map<string, readonly string[]>()
  process.strain()
  return {
    process,
    known: (topic) => listed.get(topic) ?? [],
    find(topic) {
      const names = [...(sockets.get(topic)?.keys() ?? [])]
      listed.set(topic, names)
      return names
    },
    has: () => true,
    // Removing left-behind files depends on real time, which a world does not have.
    old: () => [],
    leave() {},
  }
}

export function openInbox({ process }: Place, topic: string, { take }: Pick<InboxEvents, 'take'>): Inbox {
  process.strain()
  const name = `${topic}-${++made}`
  const known = sockets.get(topic) ?? new Map<string, Socket>()
  sockets.set(topic, known.set(name, { process, read: frameReader(take) }))
  return {
    name,
    close() {
      known.delete(name)
      if (!known.size && sockets.get(topic) === known) sockets.delete(topic)
    },
  }
}

export class Peers implements Pick<RealPeers, 'send' | 'knock' | 'close'> {
  readonly #place: Place

  constructor(place: Place) {
    this.#place = place
  }

  send(name: string, line: string): void {
    const find = (): Socket | undefined => sockets.get(name.slice(0, name.lastIndexOf('-')))?.get(name)
    this.#place.process.leave(() => {
      const socket = find()
      // A line may arrive in pieces.
      const cut = world.chance.below(line.length)
      if (socket) world.air.carry(socket.process, () => find() === socket && socket.read(line.slice(0, cut)) && socket.read(line.slice(cut)))
    })
  }

  knock(): void {}

  async close(): Promise<void> {}
}
