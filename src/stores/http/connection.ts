import { checkTimeout } from '../../channels/timeout.ts'
import { LockError, type LockErrorCode } from '../../protocol/index.ts'
import type { ErrorReply } from '../../server/wire.ts'
import { type Answer, type Ask, type Asking, type Parts, transportTo } from '../../transport.ts'

export interface Sending {
  /** The request should arrive even if the page goes away. */
  readonly keepalive?: boolean | undefined
  /**
   * The request may be carried out twice, so it is sent again if its connection broke, for example because the server closed it while it was idle.
   */
  readonly repeatable?: boolean | undefined
}

/** How requests reach one server. */
export interface Connection {
  /** @param parts fields that the answer of a lock server has */
  get<T>(path: string, parts: readonly string[]): Promise<T>
  post<T>(path: string, body: object, parts: readonly string[], how?: Sending): Promise<T>
  /** A streamed answer, until `over` aborts; `undefined` if its parts cannot be read here. @param within how long it may take to begin, in ms */
  stream(path: string, over: AbortController, within?: number): Promise<Parts | undefined>
  /** @throws LockError `closed` */
  assertOpen(): void
  close(): void
}

export interface ConnectionOptions {
  token?: string | undefined
  timeout?: number | undefined
  fetch?: typeof fetch | undefined
  client?: string | undefined
}

/** The codes of a server's errors that are codes of a `LockError`. */
const lockCodes: ReadonlySet<string> = new Set<LockErrorCode>(['invalid', 'corrupt', 'store'])
/** The largest body that a browser still sends for a page that is going away, in bytes. */
const maxKeepalive = 60_000

/** Errors of servers that did not answer, or not as a lock server does, or that could do nothing now: another server may be able to. */
const unreached = new WeakSet<LockError>()

export const isUnreached = (error: unknown): boolean => unreached.has(error as LockError)

function asUnreached(error: LockError): LockError {
  unreached.add(error)
  return error
}

export function makeConnection(url: string, { token, timeout = 5_000, fetch: own, client = newKey() }: ConnectionOptions): Connection {
  if (!/^https?:\/\//.test(url) || !URL.canParse(url))
    throw new TypeError(`httpStore needs the URL of a lock server, such as http://127.0.0.1:7420, not ${String(url).replace(/\/\/[^/]*@/, '//…@')}`)
  if (!/^[\w-]{16,128}$/.test(client)) throw new TypeError('client must be 16 to 128 random letters, digits, _ or -')
  checkTimeout(timeout)
  const { username, password } = new URL(url)
  if (username || password) throw new TypeError('a URL with a password in it would be shown in errors: give the credential as `token` instead')
  const base = url.replace(/\/+$/, '')
  const headers: Record<string, string> = { 'storelock-client': client, ...(token !== undefined && { authorization: `Bearer ${token}` }) }
  const postHeaders = { ...headers, 'content-type': 'application/json' }
  const transport = transportTo(base, own)
  let closed = false
  /** Functions that cancel the requests under way. */
  const underWay = new Set<() => void>()

  const assertOpen = (): void => {
    if (closed) throw new LockError('closed', 'the store was closed')
  }

  /**
   * @param stopped returns why the caller has given up, if it has
   * @param repeatable whether the request may be carried out twice
   * @param again whether this is that second time
   */
  const reach = async <T>(attempt: (again: boolean) => Promise<T>, stopped: () => unknown, repeatable = false, again = false): Promise<T> => {
    assertOpen()
    try {
      return await attempt(again)
    } catch (error) {
      assertOpen()
      const why = stopped()
      if (repeatable && !why) return await reach(attempt, stopped, false, true)
      throw asUnreached(new LockError('store', `${base} ${why ? `did not answer within ${timeout} ms` : failureOf(error)}`, { cause: why ?? error }))
    }
  }

  const answer = async <T>(path: string, ask: Ask, repeatable: boolean, parts: readonly string[]): Promise<T> => {
    let asking: Asking | undefined
    let late: DOMException | undefined
    // There is no AbortSignal here, because it would cost as much as everything else in this function.
    const stop = (): void => asking?.stop()
    const timer = setTimeout(() => {
      late = new DOMException(`no answer within ${timeout} ms`, 'TimeoutError')
      stop()
    }, timeout)
    underWay.add(stop)
    const attempt = (again: boolean): Promise<Answer> => {
      // After a restart of the server, all idle connections are broken.
      asking = transport.ask(path, { ...ask, fresh: again })
      return asking.answer
    }
    try {
      const { status, text } = await reach(attempt, () => late, repeatable)
      if (!isFine(status)) throw errorOf({ status, text }, base)
      return status === 204 ? (undefined as T) : parsed<T>(text, parts, base)
    } finally {
      clearTimeout(timer)
      underWay.delete(stop)
    }
  }

  return {
    assertOpen,
    get: (path, parts) => answer(path, { method: 'GET', headers }, true, parts),
    post: (path, content, parts, { keepalive = false, repeatable = false } = {}) => {
      const body = JSON.stringify(content)
      const ask = { method: 'POST', headers: postHeaders, body } as const
      return answer(path, keepalive && body.length < maxKeepalive ? { ...ask, keepalive } : ask, repeatable, parts)
    },
    async stream(path, over, within) {
      const { signal } = over
      const stop = (): void => over.abort()
      underWay.add(stop)
      signal.addEventListener('abort', () => underWay.delete(stop))
      const beginning = new AbortController()
      const end = (): void => beginning.abort(signal.reason)
      signal.addEventListener('abort', end)
      const late = within === undefined ? undefined : setTimeout(() => beginning.abort(new DOMException('no answer in time', 'TimeoutError')), within)
      const { status, parts } = await reach(
        () => transport.stream(path, { method: 'GET', headers }, beginning.signal),
        () => (beginning.signal.aborted ? beginning.signal.reason : undefined),
      ).finally(() => clearTimeout(late))
      if (isFine(status)) return parts
      let text = ''
      for (let part: string | undefined = ''; part !== undefined; part = await parts?.next().catch(() => undefined)) text += part
      throw errorOf({ status, text }, base)
    },
    close() {
      closed = true
      for (const stop of [...underWay]) stop()
    },
  }
}

const isFine = (status: number): boolean => status >= 200 && status < 300

/** Parses an answer and checks that it has these fields: something else may be listening at the URL. */
function parsed<T>(text: string, parts: readonly string[], base: string): T {
  try {
    const value = JSON.parse(text)
    if (parts.every((part) => part in value)) return value
  } catch (error) {
    throw asUnreached(new LockError('store', `${base} did not answer with JSON: is it a lock server?`, { cause: error }))
  }
  throw asUnreached(new LockError('store', `${base} did not answer as a lock server does: is it one?`))
}

export const newKey = (): string => Array.from(crypto.getRandomValues(new Uint8Array(24)), (byte) => byte.toString(16).padStart(2, '0')).join('')

/** Explains in words why a request failed. */
function failureOf(error: unknown): string {
  const { code = '', message = '' } = error as { code?: string; message?: string }
  if (code === 'ECONNREFUSED') return 'refused the connection: is the lock server running?'
  if (code === 'ENOTFOUND') return 'cannot be found: check the host name in the URL'
  if (/CERT|SELF_SIGNED|ISSUER|ALTNAME/.test(code))
    return `has a certificate that is not trusted (${code}): name its authority by NODE_EXTRA_CA_CERTS`
  if (/^ERR_SSL|EPROTO/.test(code)) return `does not speak TLS as expected (${code}): is it http instead of https, or the other way round?`
  return `could not be reached: ${message || String(error)}`
}

/** A refusal as an error that names the server. */
function errorOf(answer: Answer, base: string): LockError {
  const error = refusalOf(answer, base)
  return answer.status >= 500 && error.code === 'store' ? asUnreached(error) : error
}

function refusalOf({ status, text }: Answer, base: string): LockError {
  const { error } = bodyOf(text)
  const { code = '', message = `answered ${status}, but not as a lock server does: is it one?` } = error ?? {}
  if (lockCodes.has(code) && error) return new LockError(code as LockErrorCode, message)
  if (status === 401) return new LockError('store', `${base} does not accept the credential: ${message}`, { cause: error })
  if (status === 403) return new LockError('store', `${base} forbids it: ${message}`)
  if (status === 429) return new LockError('store', `${base} got too many requests: ${message}`)
  return new LockError('store', `${base}: ${message}`)
}

/** The error in a refusal, if there is one: a proxy may have answered in another form. */
function bodyOf(text: string): Partial<ErrorReply> {
  try {
    const { error } = JSON.parse(text) as Partial<ErrorReply>
    return typeof error?.code === 'string' && typeof error.message === 'string' ? { error } : {}
  } catch {
    return {}
  }
}
