import type { Access, Caller } from './access.ts'
import { makeAllowance } from './allowance.ts'
import { type Fault, faultOf } from './answers.ts'
import type { ClientCertificate } from './certificates.ts'
import { inspectorPaths } from './inspector.ts'
import type { RefusalKind } from './metrics.ts'
import type { HandlerOptions, Limits } from './options.ts'
import { isAddress, probePaths } from './probes.ts'
import { clientHeader } from './wire.ts'

/** The parts of a request that the guard checks. */
export interface Asked {
  readonly method: string
  readonly path: string
  /** The host name in the request. */
  readonly host: string
  readonly address: string | undefined
  /** The client's certificate, over TLS. */
  readonly certificate?: ClientCertificate | undefined
  header(name: string): string | null
}

export interface Guard {
  /** Admits a request and returns its caller, or says why not. */
  admit(asked: Asked): Caller | Fault
  /** The headers that an allowed page of another site needs to read an answer. */
  shared(asked: Asked): Record<string, string>
}

/**
 * The headers of the answer to a page's preflight request. The framework's own `hono/cors` would see only what the framework answers: no refusals and
 * no batches. It also leaves it to browsers to refuse an origin that is not allowed, while the guard refuses it.
 */
export const preflight = {
  'access-control-allow-methods': 'GET, POST',
  'access-control-allow-headers': `authorization, content-type, ${clientHeader}`,
  'access-control-max-age': '600',
}

const loopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i

export function makeGuard(
  access: Access,
  { hosts, origins = [], inspector = true }: HandlerOptions,
  { rate }: Limits,
  refused: (kind: RefusalKind, why: string, address?: string) => void,
  limited: (limit: keyof Limits) => void,
): Guard {
  const allowedOrigins = new Set(origins)
  const allowance = makeAllowance(rate)

  /** Protects from pages that point their own host name at this server (DNS rebinding). Credentials protect from them as well. */
  const isOurName = (host: string): boolean => (hosts ? hosts.includes(host) : !access.open || loopback.test(host))

  /** Pages send their origin with every request that may change something. */
  const isOurPage = (origin: string, host: string): boolean => allowedOrigins.has(origin) || hostOf(origin) === host

  return {
    admit({ path, host, address, header, method, certificate }) {
      const caller = access.callerOf(header('authorization'), header(clientHeader), address, certificate)
      // Check the rate before anything is logged: a flood must not fill the log.
      if (!allowance((typeof caller === 'string' ? '' : caller.name) || address || '')) {
        limited('rate')
        return faultOf(429, 'too-many', `more than ${rate} requests a second: wait a little`, { 'retry-after': '1' })
      }
      if (!isOurName(host) && !(probePaths.has(path) && isAddress(host))) {
        refused('host', `called by the name ${host}`, address)
        return faultOf(403, 'forbidden', `${host} is not a name of this server: add it to \`hosts\``)
      }
      const origin = header('origin')
      if (origin !== null && !isOurPage(origin, host)) {
        refused('origin', `a page of ${origin}`, address)
        return faultOf(403, 'forbidden', `pages of ${origin} may not use this server: add it to \`origins\``)
      }
      // A page can load anything as an image or a script without an `Origin`; browsers do send this header.
      if (origin === null && header('sec-fetch-site') === 'cross-site') {
        refused('origin', 'a page of another site', address)
        return faultOf(403, 'forbidden', 'pages of other sites may not use this server: add them to `origins`')
      }
      if (typeof caller !== 'string') return caller
      // A preflight has no credentials.
      if (method === 'OPTIONS' || probePaths.has(path) || path === '/openapi.json') return access.nobody(address)
      // A page that is being loaded has no credentials either. A wrong credential is refused there too.
      if (inspector && inspectorPaths.has(path) && header('authorization') === null) return access.nobody(address)
      refused('credential', caller, address)
      return faultOf(401, 'unauthorized', caller, { 'www-authenticate': 'Bearer' })
    },
    shared({ header }) {
      const origin = header('origin')
      return origin !== null && allowedOrigins.has(origin) ? { 'access-control-allow-origin': origin, vary: 'origin' } : {}
    },
  }
}

const hostOf = (origin: string): string | undefined => (URL.canParse(origin) ? new URL(origin).host : undefined)
