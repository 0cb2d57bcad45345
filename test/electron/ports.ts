import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { MessageChannel, type MessagePort } from 'node:worker_threads'

/** A message of a port between two processes, or the port's end. Electron can send a port to another process; Node cannot, so IPC carries these. */
export interface Carried {
  readonly port: number
  readonly message?: unknown
  readonly closed?: true
}

/** The demo's utility process. */
export interface Utility {
  readonly process: ChildProcess
  /** Opens a port to the utility process, for one user. */
  connect(): MessagePort
  close(): Promise<void>
}

/** @param hold how long the utility process itself holds the lock before it writes, in ms */
export async function startUtility(file: string, hold: number): Promise<Utility> {
  const child = fork(new URL('utility.ts', import.meta.url), [file, String(hold)], { execArgv: ['--import', 'tsx'], serialization: 'advanced' })
  const near = new Map<number, MessagePort>()
  child.on('message', ({ port, message }: Carried) => near.get(port)?.postMessage(message))
  child.on('exit', () => {
    for (const port of near.values()) port.close()
  })
  await once(child, 'message')
  return {
    process: child,
    connect() {
      const { port1, port2 } = new MessageChannel()
      const port = near.size + 1
      near.set(port, port1)
      const carry = (carried: Carried): void => void (child.connected && child.send(carried))
      port1.on('message', (message: unknown) => carry({ port, message }))
      port1.on('close', () => carry({ port, closed: true }))
      carry({ port })
      return port2
    },
    async close() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL')
        await once(child, 'exit')
      }
    },
  }
}
