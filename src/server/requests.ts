import type { Caller } from './access.ts'
import type { Fault } from './answers.ts'
import type { Asked } from './guard.ts'
import type { Metrics } from './metrics.ts'
import { probePaths } from './probes.ts'
import type { Report, ReportLevel } from './report.ts'

/** Measures a request from this call on. @returns a function to call with the status of the answer */
export type Requests = (asked: Asked, admitted: Caller | Fault) => (status: number) => void

/** Counts and reports each request. Of its query, headers and body only the sender is reported: they contain secrets. */
export const makeRequests =
  (metrics: Metrics, report: Report): Requests =>
  ({ method, path, address }, admitted) => {
    const begun = performance.now()
    return (status) => {
      const ms = performance.now() - begun
      metrics.requests.observe({ route: routeOf(path), status: String(status) }, ms / 1_000)
      const level = levelOf(status, path)
      if (!report.hears(level)) return
      const client = 'status' in admitted ? undefined : admitted.name || undefined
      const why = 'status' in admitted ? admitted.reply.error.message : undefined
      const fields = { method, path, status, ms: Math.round(ms * 10) / 10, client, address, why }
      report.tellOf(client ?? address ?? '', level, 'request', fields)
    }
  }

/** Successful requests are only for debugging; a failing probe is reported by its sender as well. */
const levelOf = (status: number, path: string): ReportLevel =>
  status >= 500 ? (probePaths.has(path) ? 'warn' : 'error') : status >= 400 ? 'warn' : 'debug'

/** The part of a path that names the route, without the key. Nearly all requests have the same path, so it is compared first. */
const routeOf = (path: string): string => (path === '/v1/apply' ? 'v1/apply' : (routes.exec(path)?.[1] ?? 'none'))

const routes = /^\/(v1\/(apply|locks|events|publish|verify|log|acquire|renew|release)|healthz|livez|readyz|version|metrics|openapi\.json)(?![^/?])/
