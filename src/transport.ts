import type { ClientRequest, IncomingMessage } from 'node:http'

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

/** An answer that arrives in parts. */
interface Streamed {
  readonly status: number
  /** `undefined` if parts cannot be read before the end. */
  readonly parts: Parts | undefined
}

export interface Parts {
  /** The next part; `undefined` at the end, or once it is cancelled. Rejects if the connection breaks. */
  next(): Promise<string | undefined>
  cancel(): void
}

/** How requests for the paths of one server are sent. */
export interface Transport {
  ask(path: string, ask: Ask): Asking
  /** Resolves when the answer begins. @param signal ends the request, and may no longer have an effect once the answer has begun */
  stream(path: string, ask: Ask, signal: AbortSignal): Promise<Streamed>
}

/**
 * How to send requests to a server. If one fails, the error is the system's own.
 * @param base the server's URL, to which paths are appended
 * @param own the user's own `fetch`. Default: in Node the `http` client, elsewhere `fetch`
 */
export const transportTo = (base: string, own?: typeof fetch): Transport =>
  own ? fetchTransport(base, own) : (nodeTransport(base) ?? fetchTransport(base, fetch))

const fetchTransport = (base: string, send: typeof fetch): Transport => ({
  ask(path, ask) {
    const abort = new AbortController()
    const answer = async (): Promise<Answer> => {
      const response = await begin(send, base + path, ask, abort.signal)
      return { status: response.status, text: await response.text() }
    }
    return { answer: answer(), stop: () => abort.abort() }
  },
  async stream(path, ask, signal) {
    const response = await begin(send, base + path, ask, signal)
    return { status: response.status, parts: partsOf(response.body) }
  },
})

async function begin(send: typeof fetch, url: string, ask: Ask, signal: AbortSignal): Promise<Response> {
  try {
    // A credential is only for this server, so redirects are not followed.
    return await send(url, { ...ask, signal, redirect: 'error' })
  } catch (error) {
    // Node's `fetch` only gives the system's error as the cause of its own.
    throw (error as Error).cause ?? error
  }
}

function partsOf(body: ReadableStream<Uint8Array> | null): Parts | undefined {
  const reader = body?.getReader()
  const decoder = new TextDecoder()
  return (
    reader && {
      async next() {
        const { done, value } = await reader.read()
        return done ? undefined : decoder.decode(value, { stream: true })
      },
      cancel: () => void reader.cancel().catch(() => {}),
    }
  )
}

function partsOfNode(response: IncomingMessage): Parts {
  const parts = response[Symbol.asyncIterator]()
  let cancelled = false
  return {
    async next() {
      try {
        return (await parts.next()).value
      } catch (error) {
        if (cancelled) return undefined
        throw error
      }
    },
    cancel() {
      cancelled = true
      response.destroy()
    },
  }
}

const builtin = globalThis.process?.getBuiltinModule
const [http, https] = [builtin?.('node:http'), builtin?.('node:https')]
/**
 * How long an idle connection is kept, in ms: what is between here and a server may forget it later without a word, and Node's servers close it after
 * 5 s.
 */
const idle = 4_000
const kept = { keepAlive: true, timeout: idle }
/** All stores share these connections. */
const agents = http?.Agent && https?.Agent && { http: new http.Agent(kept), https: new https.Agent(kept) }

/**
 * Uses Node's `http` client; `undefined` elsewhere. Node's `fetch` takes twice as long, and reads answers by WebAssembly that is optimised on another
 * thread: a process that ends soon waits for that for longer than it has run.
 */
function nodeTransport(base: string): Transport | undefined {
  if (!http || !https || !agents) return undefined
  const { protocol, hostname, port, pathname } = new URL(base)
  const root = pathname.replace(/\/$/, '')
  const [{ request }, agent] = protocol === 'https:' ? [https, agents.https] : [http, agents.http]
  const server = { protocol, hostname: hostname.replace(/^\[|\]$/g, ''), port, agent }

  const send = (path: string, { body = '', method, headers, fresh }: Ask, signal?: AbortSignal): ClientRequest => {
    const all = body ? { ...headers, 'content-length': Buffer.byteLength(body) } : headers
    const asking = request({ ...server, ...(fresh && { agent: false }), path: root + path, method, headers: all, signal })
    asking.end(body)
    return asking
  }

  return {
    ask(path, ask) {
      const asking = send(path, ask)
      const answer = new Promise<Answer>((resolve, reject) => {
        asking.on('error', reject)
        asking.on('response', (response) => {
          response.setEncoding('utf8')
          let text = ''
          response.on('data', (part: string) => {
            text += part
          })
          response.on('error', reject)
          response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
        })
      })
      return { answer, stop: () => void asking.destroy(new Error('cancelled')) }
    },
    stream: (path, ask, signal) =>
      new Promise((resolve, reject) => {
        const asking = send(path, { ...ask, fresh: true }, signal)
        asking.on('error', reject)
        asking.on('response', (response) => {
          response.setEncoding('utf8')
          resolve({ status: response.statusCode ?? 0, parts: partsOfNode(response) })
        })
      }),
  }
}
