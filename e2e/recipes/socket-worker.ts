import { createLocks } from 'storelock'
import { indexedDBStore } from 'storelock/stores/indexeddb'

/** What workers tell each other: a message from the server, a message for it, that this message was sent, and that a worker has connected. */
type Passed = { readonly down: string } | { readonly up: string; readonly id: string } | { readonly sent: string } | { readonly connected: true }

/** The server's address. The page passes it as the worker's name. */
const url = self.name
const locks = createLocks({ store: indexedDBStore('locks') })
/** The ports of the tabs that use this worker. */
const ports = new Set<MessagePort>()
/** The workers of other versions of the app, which other tabs may still use. */
const others = new BroadcastChannel('socket')
/** Messages from this worker's tabs that have not been sent yet, by id. */
const unsent = new Map<string, string>()
/** The open socket, if this worker has the lock. */
let socket: WebSocket | undefined

const tell = (passed: Passed): void => others.postMessage(passed)

const deliver = (message: string): void => {
  for (const port of ports) port.postMessage(message)
}

/** Sends a message, or passes it to the worker that is connected. */
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
      // After a restart of the server, its clients should not all come back at the same moment.
      if (lock.isHeld()) await new Promise((resolve) => setTimeout(resolve, 3_000 * Math.random()))
    }
  }
}

stayConnected()
