import * as Comlink from 'comlink'
import { sessionOf } from '../locks/create.ts'
import type { Locks } from '../locks/types.ts'
import { Client } from './client.ts'
import { acceptLanes, type Endpoint, type Hello, type Lane, sayReady } from './endpoint.ts'
import type { PageApi } from './protocol.ts'

export interface ExposeOptions {
  /**
   * How long a page may take to show that it runs, in ms. The worker renews nothing for one that takes longer, so that a page that
   * hangs does not keep its locks for ever. Default: the `duration` of the locks.
   */
  maxSilence?: number
}

type Stop = () => Promise<void>
type Connect = { readonly ports: readonly Endpoint[] }

/** What a worker's global scope is: a dedicated one posts messages, a shared one is connected to. */
interface Scope {
  postMessage?: unknown
  addEventListener?(type: 'connect', listener: (event: Connect) => void): void
  removeEventListener?(type: 'connect', listener: (event: Connect) => void): void
}

/** A second one would answer the same pages once more. */
const taken = new WeakSet<object>()

/**
 * Lets other contexts use these locks by `wrap`: each gets a session of its own, made with the same settings, and the worker keeps it alive.
 * In a `SharedWorker`, call it before anything is awaited: who connects earlier is not heard.
 *
 * @param endpoint where to listen; default: the worker's own global scope. In Node's `worker_threads` give `parentPort`
 * @returns how to stop, which closes the locks of all who are connected
 * @throws TypeError if these locks were not made by `createLocks`, or the endpoint is none or has been given already
 */
export function expose(locks: Locks, endpoint?: Endpoint, { maxSilence }: ExposeOptions = {}): () => Promise<void> {
  const settings = sessionOf(locks)?.settings
  if (!settings) throw new TypeError('expose takes locks that createLocks made')
  const patience = maxSilence ?? settings.duration
  if (typeof patience !== 'number' || !(patience > 0))
    throw new RangeError(`maxSilence is a number of milliseconds above 0, not ${String(maxSilence)}`)

  const listen = (end: Endpoint): Stop => {
    if (taken.has(end)) throw new TypeError('locks are exposed there already: give each its own port')
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

/** In a dedicated worker, what its page says; in a `SharedWorker`, what comes by the port of each. */
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
