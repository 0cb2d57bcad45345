import { type BroadcastingChannel, broadcastChannel } from '../src/channels/broadcast.ts'
import { socketChannel } from '../src/channels/socket.ts'
import type { Channel } from '../src/store.ts'
import type { Process } from './parts.ts'

/** A process's channel: one of the library's own, on simulated primitives, or one that just fulfils the contract. */
export function channelOf(process: Process): Channel | BroadcastingChannel {
  const { world, name } = process
  switch (world.shape.kind) {
    case 'tabs':
      return broadcastChannel(name)
    case 'sockets':
      return socketChannel(name, () => world.count('told', 'degraded'))
    case 'any':
      return {
        trusted: world.shape.machines === 1,
        publish(topic, message) {
          process.strain()
          process.leave(() => world.air.publish(topic, message))
        },
        subscribe(topic, listener) {
          process.strain()
          return world.air.subscribe(topic, process, listener)
        },
      }
  }
}
