// Runs the demo's utility process in Node. In Electron it gets ports from other processes; here their messages come over IPC from the parent.
import { EventEmitter } from 'node:events'
import { MessageChannel } from 'node:worker_threads'
import type { Carried } from './ports.ts'

const parent = new EventEmitter()
Object.defineProperty(process, 'parentPort', { value: parent })
const far = new Map<number, import('node:worker_threads').MessagePort>()

process.on('message', ({ port, message, closed }: Carried) => {
  let end = far.get(port)
  if (!end) {
    const { port1, port2 } = new MessageChannel()
    end = port1
    far.set(port, port1)
    port1.on('message', (message: unknown) => process.send?.({ port, message } satisfies Carried))
    parent.emit('message', { data: 'connect', ports: [port2] })
  }
  if (message !== undefined) end.postMessage(message)
  if (closed) end.close()
})

await import('../../demo/electron/utility.ts')
process.send?.({ port: 0, message: 'ready' } satisfies Carried)
