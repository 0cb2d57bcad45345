import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

/** A server for pages of any origin. Each of its refresh tokens is valid for one refresh. */
export interface TokenServer {
  readonly url: string
  /** The refresh token that is valid now. */
  readonly present: string
  /** How many refresh tokens were exchanged, and how many were refused because they had been used before. */
  readonly refreshed: number
  readonly refused: number
  /** How many requests wait for an answer, and how many were cut off while they waited. */
  readonly waiting: number
  readonly brokenOff: number
  /** @returns a function that cuts off the requests that wait now */
  breaker(): () => void
  /** Makes requests wait until `count` have arrived, and then answers them all. Default 1. */
  gather(count: number): void
  close(): Promise<void>
}

export async function startTokenServer(): Promise<TokenServer> {
  let number = 1
  let refreshed = 0
  let refused = 0
  let brokenOff = 0
  let group = 1
  const waiting = new Map<() => void, ServerResponse>()

  const answerGroup = (): void => {
    if (waiting.size < group) return
    for (const answer of waiting.keys()) answer()
    waiting.clear()
  }

  /** Resolves when it is this request's turn, or never if the request is cut off before. */
  const turn = (response: ServerResponse): Promise<void> =>
    new Promise((resolve) => {
      waiting.set(resolve, response)
      response.once('close', () => {
        if (waiting.delete(resolve)) brokenOff++
      })
      answerGroup()
    })

  /** Exchanges a valid refresh token for the next one. */
  const exchange = (token: string): number | undefined => {
    if (token !== `refresh-${number}`) {
      if (token) refused++
      return undefined
    }
    refreshed++
    return ++number
  }

  /** The same for SuperTokens, which sends tokens in headers. */
  const superTokens = async ({ url, headers }: IncomingMessage, response: ServerResponse): Promise<unknown> => {
    const [, bearer = ''] = headers.authorization?.split(' ') ?? []
    if (url === '/api') return response.writeHead(bearer === `access-${number}` ? 200 : 401).end(bearer)
    if (url !== '/signin') await turn(response)
    const next = url === '/signin' ? number : exchange(bearer)
    if (next === undefined) return response.writeHead(401).end('{}')
    response.setHeader('st-access-token', url === '/signin' ? 'old' : `access-${next}`)
    response.setHeader('st-refresh-token', `refresh-${next}`)
    response.setHeader('front-token', btoa(JSON.stringify({ uid: 'me', ate: Date.now() + 3_600_000, up: {} })))
    return response.end('{}')
  }

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<unknown> => {
    response.setHeader('access-control-allow-origin', request.headers.origin ?? '*')
    response.setHeader('access-control-allow-headers', request.headers['access-control-request-headers'] ?? '*')
    response.setHeader('access-control-allow-credentials', 'true')
    response.setHeader('access-control-expose-headers', '*, st-access-token, st-refresh-token, front-token')
    if (request.method === 'OPTIONS') return response.writeHead(204).end()
    if (request.url !== '/' && !request.url?.startsWith('/token')) return superTokens(request, response)
    const { refresh_token } = JSON.parse((await text(request)) || '{}')
    await turn(response)
    const next = exchange(refresh_token)
    response.setHeader('content-type', 'application/json')
    if (next === undefined) return response.writeHead(400).end(JSON.stringify({ code: 'refresh_token_already_used', message: 'Already used' }))
    const tokens = { access_token: `access-${next}`, refresh_token: `refresh-${next}`, token_type: 'bearer', expires_in: 3_600 }
    return response.end(JSON.stringify({ ...tokens, user: { id: 'me', aud: '', app_metadata: {}, user_metadata: {}, created_at: '' } }))
  }

  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get present() {
      return `refresh-${number}`
    },
    get refreshed() {
      return refreshed
    },
    get refused() {
      return refused
    },
    get waiting() {
      return waiting.size
    },
    get brokenOff() {
      return brokenOff
    },
    breaker() {
      const present = [...waiting.values()]
      return () => {
        for (const response of present) response.destroy()
      }
    },
    gather(count) {
      group = count
      if (waiting.size > 0) answerGroup()
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
