import type { Socket } from 'node:net'
import { afterEach, expect } from 'vitest'
import type { Locks } from '../../src/index.ts'
import { createHandler, type HandlerOptions, type LockHandler } from '../../src/server/index.ts'
import type { ApplyReply, WireCommand } from '../../src/server/wire.ts'
import type { Store } from '../../src/store.ts'

const closing: (() => unknown)[] = []

/** Closes something at the end of the test. The last one is closed first. */
export function atEnd<T extends { close(): unknown }>(opened: T): T {
  closing.unshift(() => opened.close())
  return opened
}

afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

/** The text that a socket receives until the predicate is satisfied or the socket ends. */
export async function until(socket: Socket, isEnough: (said: string) => boolean): Promise<string> {
  let said = ''
  for await (const chunk of socket) {
    said += chunk
    if (isEnough(said)) return said
  }
  return said
}

/** One session hands the lock `k` over to another one, which waits for it and releases it. @returns the second one's token */
export async function handOver(from: Locks, to: Locks): Promise<number> {
  const held = await from.acquire('k')
  const waiting = to.acquire('k')
  await expect.poll(async () => (await from.query()).pending?.length, { timeout: 5_000 }).toBe(1)
  await held.release()
  const next = await waiting
  await next.release()
  return next.token
}

/** A client that sends requests to a handler, with its own client key. */
export class Client {
  readonly handler: LockHandler
  readonly headers: Record<string, string>
  readonly address: string

  constructor(handler: LockHandler, key: string, token?: string, address = '192.0.2.7') {
    this.address = address
    this.handler = handler
    this.headers = { host: 'localhost', 'storelock-client': key.padEnd(16, '-'), ...(token && { authorization: `Bearer ${token}` }) }
  }

  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { ...this.headers, ...(init.headers as Record<string, string>) }
    return await this.handler.fetch(new Request(`http://localhost${path}`, { ...init, headers }), { address: this.address })
  }

  async post(path: string, body: unknown): Promise<Response> {
    return await this.fetch(path, { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } })
  }

  async get<T>(path: string): Promise<T> {
    return (await (await this.fetch(path)).json()) as T
  }

  async apply(...commands: WireCommand[]): Promise<ApplyReply> {
    return (await (await this.post('/v1/apply', { commands })).json()) as ApplyReply
  }

  /** Opens a session and asks for a lock. */
  async take(session: string, key = 'k', number = 1): Promise<ApplyReply> {
    return await this.apply(beat(session), request(session, key, number))
  }
}

export const beat = (session: string, lease = 60_000): WireCommand => ({ type: 'beat', session, client: 'c', lease, opens: true })

export const request = (session: string, key = 'k', number = 1): Extract<WireCommand, { type: 'request' }> => ({
  ...{ type: 'request', key, session, client: 'c', number, mode: 'exclusive', confirm: 500 },
})

export const handlerOf = async (store: Store, options: HandlerOptions = {}): Promise<LockHandler> => atEnd(await createHandler(store, options))
