import { type Answer, type Ask, type Parts, type Transport, transportTo } from '../../transport.ts'
import { EtcdError, errorOf, type Failure, isElsewhere, reasonOf, unauthenticated, unavailable } from './errors.ts'
import { decode, encode } from './form.ts'

/** How to reach an etcd. */
export interface EtcdOptions {
  /** The name of an etcd user, if etcd asks for one. */
  username?: string | undefined
  password?: string | undefined
  /** How long an answer may take, in ms. If an answer is late, waiters repeat the request for up to two minutes. Default 5,000. */
  timeout?: number | undefined
  /** Sends requests, for example with a client certificate. Default: in Node the `http` client, elsewhere `fetch`. */
  fetch?: typeof fetch | undefined
}

/** The listeners of a watch. */
export interface Watcher {
  /** Called with each value that was put. */
  heard(value: string): void
  /** Called with `undefined` when the watch is up, which may have missed values before, and with the reason in words when it is not. */
  state(why: string | undefined): void
}

/** The longest pause before a watch is tried again, in ms. */
const longestPause = 2_000

/** Talks to the members of one etcd, over their JSON API. */
export class EtcdClient {
  readonly #members: readonly Transport[]
  readonly #options: EtcdOptions
  readonly #timeout: number
  readonly #underWay = new Set<AbortController>()
  #closed = false
  /** The index of the member that is asked. */
  #at = 0
  #token: Promise<string> | undefined

  constructor(members: readonly string[], options: EtcdOptions) {
    this.#members = members.map((member) => transportTo(member, options.fetch))
    this.#options = options
    this.#timeout = options.timeout ?? 5_000
  }

  /**
   * Asks the members in turn until one has a leader.
   * @param repeatable whether the request may be carried out twice; otherwise it is only sent again if it has certainly not been carried out
   */
  async call<T>(path: string, body: object, repeatable = false): Promise<T> {
    const over = this.#begin()
    const late = setTimeout(() => {
      this.#turn(this.#at)
      over.abort(new DOMException(`no answer within ${this.#timeout} ms`, 'TimeoutError'))
    }, this.#timeout)
    try {
      return await this.#callMembers<T>(path, body, repeatable, over.signal)
    } catch (error) {
      throw reasonOf(error)
    } finally {
      clearTimeout(late)
      this.#underWay.delete(over)
    }
  }

  async #callMembers<T>(path: string, body: object, repeatable: boolean, over: AbortSignal): Promise<T> {
    for (let tried = 1; ; tried++) {
      const at = this.#at
      try {
        return await this.#ask<T>(path, body, over)
      } catch (error) {
        if (error instanceof EtcdError && error.code === unauthenticated && this.#token && tried === 1) {
          this.#token = undefined
          continue
        }
        const again = isElsewhere(error)
        if (again) this.#turn(at)
        if (!again || over.aborted || tried >= this.#members.length || !(repeatable || again === 'unsent')) throw error
      }
    }
  }

  #begin(): AbortController {
    const over = new AbortController()
    if (this.#closed) over.abort()
    this.#underWay.add(over)
    return over
  }

  /** Asks another member from now on, unless that has happened since. */
  #turn(from: number): void {
    if (from === this.#at) this.#at = (from + 1) % this.#members.length
  }

  async #ask<T>(path: string, body: object, signal: AbortSignal): Promise<T> {
    const { status, text } = await this.#answer(path, await this.#post(path, body, signal), signal)
    let reply: T & Failure
    try {
      reply = JSON.parse(text) as T & Failure
    } catch {
      throw new EtcdError(`HTTP ${status}: ${text.slice(0, 200)}`, status >= 500 ? unavailable : 0)
    }
    if (status !== 200 || reply.error !== undefined) throw errorOf(reply)
    return reply
  }

  async #answer(path: string, ask: Ask, signal: AbortSignal): Promise<Answer> {
    signal.throwIfAborted()
    const { answer, stop } = this.#member.ask(`/v3/${path}`, ask)
    signal.addEventListener('abort', stop)
    try {
      return await answer
    } catch (error) {
      throw signal.aborted ? signal.reason : error
    } finally {
      signal.removeEventListener('abort', stop)
    }
  }

  get #member(): Transport {
    return this.#members[this.#at] as Transport
  }

  async #post(path: string, body: object, signal: AbortSignal): Promise<Ask> {
    const { username } = this.#options
    // With the last header, a member that has lost the others answers at once that there is no leader.
    const headers: Record<string, string> = { 'content-type': 'application/json', 'grpc-metadata-hasleader': 'true' }
    if (username !== undefined && path !== 'auth/authenticate') {
      this.#token ??= this.#authenticate(signal)
      headers.authorization = await this.#token
    }
    return { method: 'POST', headers, body: JSON.stringify(body) }
  }

  async #authenticate(signal: AbortSignal): Promise<string> {
    try {
      const { username: name, password } = this.#options
      const { token } = await this.#ask<{ token: string }>('auth/authenticate', { name, password }, signal)
      return token
    } catch (error) {
      this.#token = undefined
      throw error
    }
  }

  /** Reports each value that is put at a key. @returns how to stop */
  watch(key: string, watcher: Watcher): () => void {
    const stopping = this.#begin()
    const over = stopping.signal
    /** The revision at which the watch goes on after an interruption. */
    let from: string | undefined
    const once = async (): Promise<void> => {
      const created = { key: encode(key), ...(from !== undefined && { start_revision: from }) }
      const ask = await this.#post('watch', { create_request: created }, over)
      const { status, parts } = await this.#member.stream('/v3/watch', ask, over)
      if (status !== 200 || !parts) {
        parts?.cancel()
        throw new EtcdError(`HTTP ${status}`, unavailable)
      }
      for await (const line of linesOf(parts)) {
        const { result, error } = JSON.parse(line) as { result?: Watched; error?: Failure }
        if (!result) throw errorOf(error ?? {})
        const { header, events = [], canceled, compact_revision } = result
        if (canceled) {
          if (compact_revision === undefined) throw new EtcdError(result.cancel_reason ?? 'the watch was canceled', 0)
          // The values that were put meanwhile are lost.
          from = compact_revision
          return
        }
        if (result.created) watcher.state(undefined)
        for (const { type = 'PUT', kv } of events) if (type === 'PUT') watcher.heard(decode(kv.value))
        if (header?.revision !== undefined) from = String(BigInt(header.revision) + 1n)
      }
      throw new EtcdError('the watch ended', 0)
    }
    const go = async (): Promise<void> => {
      for (let pause = 50; !over.aborted; pause = Math.min(pause * 2, longestPause)) {
        const began = performance.now()
        const at = this.#at
        try {
          await once()
          continue
        } catch (error) {
          if (over.aborted) return
          if (isElsewhere(error)) this.#turn(at)
          watcher.state((reasonOf(error) as Error).message)
        }
        if (performance.now() - began > longestPause) pause = 50
        await new Promise((resolve) => setTimeout(resolve, pause).unref())
      }
    }
    go()
    return () => {
      stopping.abort()
      this.#underWay.delete(stopping)
    }
  }

  get isClosed(): boolean {
    return this.#closed
  }

  close(): void {
    this.#closed = true
    for (const over of this.#underWay) over.abort()
  }
}

interface Watched {
  readonly header?: { readonly revision?: string }
  readonly created?: boolean
  readonly canceled?: boolean
  readonly cancel_reason?: string
  readonly compact_revision?: string
  readonly events?: readonly { readonly type?: string; readonly kv: { readonly value?: string } }[]
}

async function* linesOf(parts: Parts): AsyncGenerator<string> {
  let rest = ''
  try {
    for (let part = await parts.next(); part !== undefined; part = await parts.next()) {
      const lines = (rest + part).split('\n')
      rest = lines.pop() as string
      for (const line of lines) if (line) yield line
    }
  } finally {
    parts.cancel()
  }
}
