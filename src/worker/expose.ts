import * as Comlink from 'comlink'
import { sessionOf } from '../locks/base.ts'
import type { Locks } from '../locks/types.ts'
import { Client } from './client.ts'
import { acceptLanes, type Endpoint, type Hello, type Lane, sayReady } from './endpoint.ts'
import type { PageApi } from './protocol.ts'

export interface ExposeOptions {
  /**
   * How long a page may take to show that it runs, in ms. The worker stops renewing for a page that takes longer, so that a hung page does not keep
   * its locks for ever. Default: the `duration` of the locks.
   */
  maxSilence?: number | undefined
}

type Stop = () => Promise<void>
type Connect = { readonly ports: readonly Endpoint[] }

/** The global scope of a worker: a dedicated one posts messages, a shared one gets connections. */
interface Scope {
  postMessage?: unknown
  addEventListener?(type: 'connect', listener: (event: Connect) => void): void
  removeEventListener?(type: 'connect', listener: (event: Connect) => void): void
}

/** The endpoints in use: a second `expose` on one of them would answer the same pages again. */
const taken = new WeakSet<object>()

/**
 * Lets other contexts use these locks through `wrap`: each gets a session of its own, with the same settings, and the worker keeps it alive. In a
 * `SharedWorker`, call it before you await anything: connections that come earlier are missed.
 *
 * @param endpoint where to listen; default: the worker's own global scope. In Node's `worker_threads` pass `parentPort`
 * @returns a function that stops this and closes the locks of all connected contexts
 * @throws TypeError if these locks were not made by `createLocks`, if an endpoint is needed here, or if the endpoint is already in use
 */
export function expose(locks: Locks, endpoint?: Endpoint, { maxSilence }: ExposeOptions = {}): () => Promise<void> {
  const settings = sessionOf(locks)?.settings
  if (!settings) throw new TypeError('expose needs locks that were made by createLocks')
  const patience = maxSilence ?? settings.duration
  if (typeof patience !== 'number' || !(patience > 0))
    throw new RangeError(`maxSilence is a number of milliseconds above 0, not ${String(maxSilence)}`)

  const listen = (end: Endpoint): Stop => {
    if (taken.has(end)) throw new TypeError('this endpoint already exposes locks: use a port of its own for each')
    taken.add(end)
    const clients = new Set<Client>()
    const attend = (lane: Lane, { label = settings.label, realm }: Hello): void => {
      const left = (): void => {
        clients.delete(client)
        lane.close()
      }
      const client = new Client(Comlink.wrap<PageApi>(lane), { ...settings, label }, realm, patience, left)
      clients.add(client)
      Comlink.expose(client, lane)
    }
    const closeAll = async (): Promise<void> => {
      await Promise.all([...clients].map((client) => client.close()))
    }
    const stop = acceptLanes(end, attend, closeAll)
    sayReady(end)
    return () => {
      stop()
      taken.delete(end)
      return closeAll()
    }
  }

  return endpoint ? listen(endpoint) : listenToScope(listen)
}

/** Listens to the page of a dedicated worker, or to each port of a `SharedWorker`. */
function listenToScope(listen: (end: Endpoint) => Stop): Stop {
  const scope = globalThis as Scope
  if ('document' in scope || !scope.postMessage === !('onconnect' in scope))
    throw new TypeError('expose needs an endpoint here: a MessagePort, or parentPort in a thread of Node')
  if (scope.postMessage) return listen(scope as Endpoint)
  const stops: Stop[] = []
  const connect = ({ ports: [port] }: Connect): void => {
    if (port) stops.push(listen(port))
  }
  scope.addEventListener?.('connect', connect)
  return async () => {
    scope.removeEventListener?.('connect', connect)
    await Promise.all(stops.map((stop) => stop()))
  }
}
