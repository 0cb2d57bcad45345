import type { LockEvent } from './events.ts'

/** The part of Node's diagnostics channels that is used here. */
interface Diagnostics {
  channel(name: string): Channel
}

interface Channel {
  readonly hasSubscribers: boolean
  publish(event: LockEvent): void
}

const builtin = globalThis.process?.getBuiltinModule as ((id: string) => Diagnostics | undefined) | undefined
const diagnostics = builtin?.('diagnostics_channel')

/** The diagnostics channels by type of event: kept, since asking Node for one by its name takes longer than using it. */
const channels = new Map<LockEvent['type'], Channel>()

function channelOf({ channel }: Diagnostics, type: LockEvent['type']): Channel {
  const made = channels.get(type) ?? channel(`storelock:${type}`)
  channels.set(type, made)
  return made
}

/** Passes on what a session does and notices: to its listener, and to Node's diagnostics channels `storelock:*`. */
export class Seen {
  readonly #listener: ((event: LockEvent) => void) | undefined
  readonly #call: (listener: () => unknown) => void

  constructor(listener: ((event: LockEvent) => void) | undefined, call: (listener: () => unknown) => void) {
    this.#listener = listener
    this.#call = call
  }

  /** Whether a listener wants events of this type. For events that take long to make, compared with the step itself. */
  wants(type: LockEvent['type']): boolean {
    return this.#listener !== undefined || (diagnostics !== undefined && (channels.get(type) ?? channelOf(diagnostics, type)).hasSubscribers)
  }

  /**
   * Passes an event to the listeners, in order, after the present step: a listener may use the locks, which must not be in the middle of a step then.
   */
  tell(event: LockEvent): void {
    if (!this.wants(event.type)) return
    const listener = this.#listener
    Promise.resolve().then(() => {
      if (listener) this.#call(() => listener(event))
      if (diagnostics) channelOf(diagnostics, event.type).publish(event)
    })
  }
}
