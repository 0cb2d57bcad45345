import type { Order, Report } from '../model/reports.ts'

/** What goes between the tabs and workers of the demo. It is for the eye only: the locks do not use it. */
export type Message =
  | { readonly type: 'report'; readonly report: Report }
  | { readonly type: 'order'; readonly to: string; readonly order: Order }
  /** Ends a worker without a word. */
  | { readonly type: 'crash'; readonly to: string }
  /** A page that has just been opened asks who is there. */
  | { readonly type: 'who' }

export const everyone = '*'

export interface Radio {
  send(message: Message): void
}

/** @param hear gets what others say, and not what was sent from here */
export function openRadio(hear: (message: Message) => void): Radio {
  const channel = new BroadcastChannel('storelock-demo')
  channel.onmessage = ({ data }) => hear(data)
  return { send: (message) => channel.postMessage(message) }
}
