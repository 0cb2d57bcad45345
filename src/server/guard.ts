import type { Access, Caller } from './access.ts'
import { makeAllowance } from './allowance.ts'
import type { HandlerOptions, Limits } from './options.ts'
import { clientHeader, type ErrorReply } from './wire.ts'

/** Lets a request in, with whose it is, or answers it. */
export interface Guard {
  admit(request: Request, address: string | undefined): Caller | Response
  /** What an allowed page of another site needs to read an answer. */
  share(request: Request, response: Response): Response
}

const loopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i

export function makeGuard(
  access: Access,
  { hosts, origins = [] }: HandlerOptions,
  { rate }: Limits,
  refused: (why: string, address?: string) => void,
): Guard {
  const allowedOrigins = new Set(origins)
  const allowance = makeAllowance(rate)

  /** Against pages that have given their own name this server's address. Who needs a bearer token is safe from them. */
  const isOurName = (host: string): boolean => (hosts ? hosts.includes(host) : !access.open || loopback.test(host))

  /** Pages send their origin with whatever may change something. */
  const isOurPage = (origin: string, host: string): boolean => allowedOrigins.has(origin) || hostOf(origin) === host

  return {
    admit(request, address) {
      const url = new URL(request.url)
      const caller = access.callerOf(request.headers, request.headers.get(clientHeader), address)
      const who = (typeof caller === 'string' ? '' : caller.name) || address || ''
      if (!allowance(who)) {
        return answer(429, 'too-many', `more than ${rate} requests a second: wait a little`, { 'retry-after': '1' })
      }
      const host = request.headers.get('host') ?? url.host
      if (!isOurName(host)) {
        refused(`called by the name ${host}`, address)
        return answer(403, 'forbidden', `this server does not go by the name ${host}: add it to \`hosts\``)
      }
      const origin = request.headers.get('origin')
      if (origin !== null && !isOurPage(origin, host)) {
        refused(`a page of ${origin}`, address)
        return answer(403, 'forbidden', `pages of ${origin} may not use this server: add it to \`origins\``)
      }
      if (request.method === 'OPTIONS') return new Response(null, { status: 204, headers: preflight })
      if (typeof caller === 'string') {
        if (url.pathname === '/healthz' || url.pathname === '/openapi.json') return access.nobody(address)
        refused(caller, address)
        return answer(401, 'unauthorized', caller, { 'www-authenticate': 'Bearer' })
      }
      return caller
    },
    share(request, response) {
      const origin = request.headers.get('origin')
      if (origin === null || !allowedOrigins.has(origin)) return response
      response.headers.set('access-control-allow-origin', origin)
      response.headers.append('vary', 'origin')
      return response
    },
  }
}

const preflight = {
  'access-control-allow-methods': 'GET, POST',
  'access-control-allow-headers': `authorization, content-type, ${clientHeader}`,
  'access-control-max-age': '600',
}

export const answer = (status: number, code: ErrorReply['error']['code'], message: string, headers: Record<string, string> = {}): Response =>
  Response.json({ error: { code, message } } satisfies ErrorReply, { status, headers })

const hostOf = (origin: string): string | undefined => (URL.canParse(origin) ? new URL(origin).host : undefined)
