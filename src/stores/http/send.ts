/** A request with an answer that has to be complete. */
export interface Ask {
  readonly method: 'GET' | 'POST'
  readonly headers: Record<string, string>
  readonly body?: string
  /** The request should arrive even if the page goes away. */
  readonly keepalive?: boolean
  /** It needs a new connection, as far as the caller can choose. */
  readonly fresh?: boolean
}

export interface Answer {
  readonly status: number
  readonly text: string
}

/** A request under way. */
export interface Asking {
  /** Rejects if no complete answer arrives. */
  readonly answer: Promise<Answer>
  /** Cancels the request, because the caller no longer waits for the answer. */
  stop(): void
}

/** Sends a request for a path of one server. */
export type Send = (path: string, ask: Ask) => Asking

export const fetchSend =
  (base: string, send: typeof fetch): Send =>
  (path, ask) => {
    const abort = new AbortController()
    const answer = async (): Promise<Answer> => {
      // The credential is only for this server, so redirects are not followed.
      const response = await send(base + path, { ...ask, signal: abort.signal, redirect: 'error' })
      return { status: response.status, text: await response.text() }
    }
    return { answer: answer(), stop: () => abort.abort() }
  }

const builtin = globalThis.process?.getBuiltinModule
const [http, https] = [builtin?.('node:http'), builtin?.('node:https')]
/** All stores share these connections. */
const agents = http?.Agent && https?.Agent && { http: new http.Agent({ keepAlive: true }), https: new https.Agent({ keepAlive: true }) }

/** Uses Node's `http` client, which takes less than half the time of its `fetch`; `undefined` elsewhere. */
export function nodeSend(base: string): Send | undefined {
  if (!http || !https || !agents) return undefined
  const { protocol, hostname, port, pathname } = new URL(base)
  const root = pathname.replace(/\/$/, '')
  const [{ request }, agent] = protocol === 'https:' ? [https, agents.https] : [http, agents.http]
  const server = { protocol, hostname: hostname.replace(/^\[|\]$/g, ''), port, agent }
  return (path, { body = '', method, headers, fresh }) => {
    const all = body ? { ...headers, 'content-length': Buffer.byteLength(body) } : headers
    const asking = request({ ...server, ...(fresh && { agent: false }), path: root + path, method, headers: all })
    const answer = new Promise<Answer>((resolve, reject) => {
      asking.on('error', reject)
      asking.on('response', (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (part: string) => {
          text += part
        })
        response.on('error', reject)
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
      })
      asking.end(body)
    })
    return { answer, stop: () => void asking.destroy(new Error('cancelled')) }
  }
}
