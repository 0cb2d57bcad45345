import type { Process, World } from './parts.ts'

/** The browser's `BroadcastChannel` for the tabs of a world. A tab passes its own name, which tells its owner; all channels are connected. */
export function broadcastChannelOf(world: World): new (name: string) => BroadcastChannel {
  const open = new Set<Engine>()

  class Engine {
    onmessage: ((event: { readonly data: unknown }) => void) | null = null
    readonly #process: Process

    constructor(name: string) {
      this.#process = world.everyone.get(name) as Process
      this.#process.strain()
      open.add(this)
      this.#process.channels++
    }

    postMessage(data: unknown): void {
      this.#process.strain()
      const copy = structuredClone(data)
      this.#process.leave(() => {
        for (const other of open) if (other !== this) world.air.carry(other.#process, () => open.has(other) && other.onmessage?.({ data: copy }))
      })
    }

    close(): void {
      if (open.delete(this)) this.#process.channels--
    }
  }

  return Engine as unknown as new (
    name: string,
  ) => BroadcastChannel
}

/** The part of the browser's Web Locks that beacons use, as one tab sees it. */
export function lockManagerOf(process: Process): LockManager {
  const { world } = process
  const { beacons } = world

  const hold = (name: string, work: () => Promise<void>): Promise<void> =>
    new Promise((resolve, reject) => {
      const lost = (): void => reject(new DOMException('the lock was stolen', 'AbortError'))
      beacons.light(process, name, name.slice(name.lastIndexOf(' ') + 1), lost).then((putOut) => work().then(putOut).then(resolve), reject)
    })

  /** The present state, returned a moment later. */
  const look = <T>(what: (seen: string[]) => T): Promise<T> =>
    new Promise((resolve) => {
      const answer = what(beacons.seen(process))
      world.timeline.after(world.chance.next() * process.traits.latency, () => process.enter(() => resolve(answer)))
    })

  return {
    query: () => look((names) => ({ held: names.map((name) => ({ name })) })),
    request: (name: string, options: LockOptions | (() => Promise<void>), work?: (lock?: unknown) => unknown) => {
      if (typeof options === 'function') return hold(name, options)
      if (options.ifAvailable) return look((names) => names.includes(name)).then((held) => work?.(held ? null : {}))
      return beacons.watch(process, name, options.signal as AbortSignal).then(work)
    },
  } as LockManager
}
