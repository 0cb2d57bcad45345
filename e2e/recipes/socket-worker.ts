import { createLocks } from 'storelock'
import { indexedDBStore } from 'storelock/stores/indexeddb'

/** What workers tell each other: a message of the server's, one for it, that it was sent, and that somebody is connected. */
type Passed = { readonly down: string } | { readonly up: string; readonly id: string } | { readonly sent: string } | { readonly connected: true }

/** The page gives it as the worker's name. */
const url = self.name
const locks = createLocks({ store: indexedDBStore('locks') })
/** Of the tabs that use this worker. */
const ports = new Set<MessagePort>()
/** The workers of other versions of the app, which other tabs may still use. */
const others = new BroadcastChannel('socket')
/** What tabs of this worker want to send, by ids, until it was sent. */
const unsent = new Map<string, string>()
/** In the worker that has the lock, while it is open. */
let socket: WebSocket | undefined

const tell = (passed: Passed): void => others.postMessage(passed)

const deliver = (message: string): void => {
  for (const port of ports) port.postMessage(message)
}

/** Sends a message, or has the worker send it that is connected. */
const send = (message: string, id: string): void => {
  if (socket) {
    socket.send(message)
    unsent.delete(id)
  } else {
    tell({ up: message, id })
  }
}

others.onmessage = ({ data }: MessageEvent<Passed>) => {
  if ('down' in data) deliver(data.down)
  if ('sent' in data) unsent.delete(data.sent)
  if ('connected' in data) unsent.forEach(send)
  if ('up' in data && socket) {
    socket.send(data.up)
    tell({ sent: data.id })
  }
}

addEventListener('connect', (event) => {
  const port = (event as MessageEvent).ports[0] as MessagePort
  ports.add(port)
  port.onmessage = ({ data }: MessageEvent<string>) => {
    const id = crypto.randomUUID()
    unsent.set(id, data)
    send(data, id)
  }
})

/** Opens a socket. Resolves when it is closed. */
function connect(signal: AbortSignal): Promise<void> {
  const opening = new WebSocket(url)
  signal.addEventListener('abort', () => opening.close(), { once: true })
  opening.onopen = () => {
    socket = opening
    unsent.forEach(send)
    tell({ connected: true })
  }
  opening.onmessage = ({ data }) => {
    deliver(data)
    tell({ down: data })
  }
  return new Promise((resolve) => {
    opening.onclose = () => {
      socket = undefined
      resolve()
    }
  })
}

/** Connects again and again while this worker has the lock. */
async function stayConnected(): Promise<never> {
  for (;;) {
    const lock = await locks.acquire('socket')
    while (lock.isHeld()) {
      await connect(lock.signal)
      // All clients of a server that restarts should not come back in the same moment.
      if (lock.isHeld()) await new Promise((resolve) => setTimeout(resolve, 3_000 * Math.random()))
    }
  }
}

stayConnected()
