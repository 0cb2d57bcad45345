import type { Order, Report } from '../model/reports.ts'

/** The messages between the tabs and workers of the demo. They are only for the display; the locks do not use them. */
export type Message =
  | { readonly type: 'report'; readonly report: Report }
  | { readonly type: 'order'; readonly to: string; readonly order: Order }
  /** Kills a worker. */
  | { readonly type: 'crash'; readonly to: string }
  /** A page that has just been opened asks which workers are there. */
  | { readonly type: 'who' }

export const everyone = '*'

export interface Radio {
  send(message: Message): void
}

/** @param hear gets the messages of others, not those that were sent here */
export function openRadio(hear: (message: Message) => void): Radio {
  const channel = new BroadcastChannel('storelock-demo')
  channel.onmessage = ({ data }) => hear(data)
  return { send: (message) => channel.postMessage(message) }
}
