import { collectDefaultMetrics, Registry } from './libraries.ts'

let registry: Registry | undefined

/** Metrics of this process, its memory and its event loop, under the names that dashboards for Node know. All servers in the process share them. */
export function processFigures(): Registry {
  if (!registry) {
    registry = new Registry()
    collectDefaultMetrics({ register: registry })
  }
  return registry
}
