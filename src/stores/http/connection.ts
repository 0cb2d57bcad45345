import { LockError, type LockErrorCode } from '../../protocol/index.ts'
import type { ErrorReply } from '../../server/wire.ts'

interface Sending {
  /** It is to arrive although the page goes away. */
  readonly keepalive?: boolean
  /** It may be carried out twice, and so is sent again if its connection broke, as one does that a server closed while it was idle. */
  readonly repeatable?: boolean
}

/** How requests reach one server. */
export interface Connection {
  get<T>(path: string): Promise<T>
  post<T>(path: string, body: object, how?: Sending): Promise<T>
  /** An answer that goes on, until `signal` aborts. */
  stream(path: string, signal: AbortSignal): Promise<Response>
  /** @throws LockError `closed` */
  assertOpen(): void
  close(): void
}

interface ConnectionOptions {
  token?: string
  timeout?: number
  fetch?: typeof fetch
  client?: string
}

/** The codes of a server's errors that are a lock's own. */
const lockCodes: ReadonlySet<string> = new Set<LockErrorCode>(['invalid', 'corrupt', 'store'])
/** How much a browser sends of a page that goes away, in bytes. */
const maxKeepalive = 60_000

export function makeConnection(url: string, { token, timeout = 5_000, fetch: send = fetch, client = newKey() }: ConnectionOptions): Connection {
  if (!/^https?:\/\//.test(url) || !URL.canParse(url))
    throw new TypeError(`httpStore needs the URL of a lock server, such as http://127.0.0.1:7420, not ${String(url)}`)
  if (!/^[\w-]{16,128}$/.test(client)) throw new TypeError('client must be 16 to 128 random letters, digits, _ or -')
  if (!(timeout > 0 && timeout < 2 ** 31)) throw new RangeError(`timeout is a number of milliseconds above 0, not ${String(timeout)}`)
  const base = url.replace(/\/+$/, '')
  const headers: Record<string, string> = { 'storelock-client': client, ...(token !== undefined && { authorization: `Bearer ${token}` }) }
  const closing = new AbortController()
  const underWay = new Set<AbortController>()

  const assertOpen = (): void => {
    if (closing.signal.aborted) throw new LockError('closed', 'the store was closed')
  }

  const request = async (path: string, init: RequestInit, signal: AbortSignal, repeatable: boolean): Promise<Response> => {
    assertOpen()
    let response: Response
    try {
      response = await send(base + path, { ...init, signal })
    } catch (error) {
      assertOpen()
      if (repeatable && !signal.aborted) return await request(path, init, signal, false)
      throw new LockError('store', `${base} ${failureOf(error, signal, timeout)}`, { cause: error })
    }
    if (response.ok) return response
    throw await errorOf(response, base)
  }

  const answer = async <T>(path: string, init: RequestInit, repeatable: boolean): Promise<T> => {
    // By hand: `AbortSignal.any` and `.timeout` would cost more than the rest.
    const abort = new AbortController()
    const { signal } = abort
    const timer = setTimeout(() => abort.abort(), timeout)
    underWay.add(abort)
    try {
      const response = await request(path, init, signal, repeatable)
      return response.status === 204 ? (undefined as T) : ((await response.json()) as T)
    } catch (error) {
      assertOpen()
      throw error instanceof LockError ? error : new LockError('store', `${base} ${failureOf(error, signal, timeout)}`, { cause: error })
    } finally {
      clearTimeout(timer)
      underWay.delete(abort)
    }
  }

  return {
    assertOpen,
    get: (path) => answer(path, { headers }, true),
    post: (path, body, { keepalive = false, repeatable = false } = {}) => {
      const text = JSON.stringify(body)
      const init = { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body: text }
      return answer(path, keepalive && text.length < maxKeepalive ? { ...init, keepalive } : init, repeatable)
    },
    stream: (path, signal) => request(path, { headers }, AbortSignal.any([closing.signal, signal]), false),
    close() {
      closing.abort()
      for (const abort of underWay) abort.abort()
    },
  }
}

const newKey = (): string => Array.from(crypto.getRandomValues(new Uint8Array(24)), (byte) => byte.toString(16).padStart(2, '0')).join('')

/** What went wrong on the way, in words. */
function failureOf(error: unknown, signal: AbortSignal, timeout: number): string {
  if (signal.aborted) return `did not answer within ${timeout} ms`
  const { code = '', message = '' } = ((error as Error).cause ?? error) as { code?: string; message?: string }
  if (code === 'ECONNREFUSED') return 'refused the connection: is the lock server running?'
  if (code === 'ENOTFOUND') return 'is not known by that name: check the URL'
  if (/CERT|SELF_SIGNED|ISSUER|ALTNAME/.test(code))
    return `has a certificate that is not trusted (${code}): name its authority by NODE_EXTRA_CA_CERTS`
  if (/^ERR_SSL|EPROTO/.test(code)) return `does not speak TLS as expected (${code}): is it http instead of https, or the other way round?`
  return `could not be reached: ${message || String(error)}`
}

/** A refusal, in words that say whose it is. */
async function errorOf(response: Response, base: string): Promise<LockError> {
  const { status } = response
  const body = (await response.json().catch(() => undefined)) as Partial<ErrorReply> | undefined
  const { code = '', message = `answered ${status}` } = body?.error ?? {}
  if (lockCodes.has(code) && body?.error) return new LockError(code as LockErrorCode, message)
  if (status === 401) return new LockError('store', `${base} knows no such credential: ${message}`, { cause: body?.error })
  if (status === 403) return new LockError('store', `${base} forbids it: ${message}`)
  if (status === 429) return new LockError('store', `${base} has too many requests: ${message}`)
  return new LockError('store', `${base}: ${message}`)
}
