import type { Fenced, HeldLock } from 'storelock'
import type { Endpoint } from 'storelock/worker'

/** One turn, as it is stored in the SQLite file. */
export interface Turn {
  /** From 1, without gaps: each turn reads the last number and adds 1. */
  readonly number: number
  readonly who: string
  readonly token: number
}

/** Writes a turn under a lock. Rejects with `lost` if another session has the lock. @returns the turn's number */
export type Write = (lock: HeldLock) => Promise<number>

/** The messages on a port beside those of storelock: a turn to write, its result, and the last turns for all to show. */
export type Message =
  | { readonly write: number; readonly who: string; readonly lock: Omit<Fenced, 'assertHeld' | 'checked'> }
  | { readonly wrote: number; readonly number: number }
  | { readonly wrote: number; readonly refused: string }
  | { readonly turns: readonly Turn[] }

/** Listens to a port of the browser, Node or Electron. The port calls listeners with an event or with the message itself. */
export function listen(port: Endpoint, hear: (message: Message) => void, ended = () => {}): void {
  const heard = (event: unknown): void => {
    const { data = event } = event as { data?: unknown }
    if (typeof data === 'object' && data !== null && !('storelock' in data)) hear(data as Message)
  }
  if ('addEventListener' in port) {
    port.addEventListener('message', heard as EventListener)
    port.addEventListener('close', ended)
  } else {
    port.on('message', heard)
    port.on('close', ended)
  }
  port.start?.()
}

/** Writes turns through a port to the process that has the file. */
export function writerOver(port: Endpoint, who: string): Write {
  const waiting = new Map<number, { resolve(number: number): void; reject(error: Error): void }>()
  let last = 0
  const answered = (message: Message): void => {
    if (!('wrote' in message)) return
    const call = waiting.get(message.wrote)
    waiting.delete(message.wrote)
    if ('refused' in message) call?.reject(new Error(message.refused))
    else call?.resolve(message.number)
  }
  listen(port, answered, () => {
    for (const { reject } of waiting.values()) reject(new Error('the utility process has ended: the turn may or may not be written'))
  })
  return ({ name, key, session, token }) =>
    new Promise((resolve, reject) => {
      last += 1
      waiting.set(last, { resolve, reject })
      port.postMessage({ write: last, who, lock: { name, key, session, token } } satisfies Message)
    })
}
