let port: MessagePort | undefined

/** What tests call in the page, as the global `socket`. */
const exposed = {
  heard: [] as string[],
  /** Connects to the worker of a version of the app. */
  join(url: string, version: string): void {
    const script = new URL('./socket-worker.ts', import.meta.url)
    script.search = version
    port = new SharedWorker(script, { type: 'module', name: url }).port
    port.onmessage = ({ data }) => exposed.heard.push(data)
  },
  send: (message: string): void => port?.postMessage(message),
}

declare global {
  var socket: typeof exposed
}

globalThis.socket = exposed
