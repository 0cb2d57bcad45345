import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Writable } from 'node:stream'
import { headersOf, type Said } from './answers.ts'
import { applyPath } from './batch-route.ts'
import { certificateOf } from './certificates.ts'
import type { Incoming } from './pipeline.ts'

export type Listener = (incoming: IncomingMessage, outgoing: ServerResponse) => void

/**
 * Answers batches directly from Node's request to its response. The other routes use `Request` and `Response` objects, which took nearly half of the
 * server's time.
 */
export const directly =
  (answer: (incoming: Incoming) => Promise<Said>, otherwise: Listener): Listener =>
  (incoming, outgoing) => {
    if (incoming.method !== 'POST' || incoming.url !== applyPath) return otherwise(incoming, outgoing)
    const write = (said: Said): unknown => outgoing.writeHead(said.status, headersOf(said)).end(said.text)
    answer(incomingOf(incoming, outgoing)).then(write, () => outgoing.destroy())
  }

function incomingOf(incoming: IncomingMessage, outgoing: ServerResponse): Incoming {
  const { headers, socket } = incoming
  const header = (name: string): string | null => (headers[name] as string | undefined) ?? null
  const { host = '' } = headers
  return {
    asked: { method: 'POST', path: applyPath, host, header, address: socket.remoteAddress, certificate: certificateOf(socket) },
    text: (most) => textOf(incoming, most),
    ended: (listener) => whenClosed(outgoing, listener),
  }
}

/** Calls a listener when an answer has been sent or its connection is gone; at once if the connection went before the request had its turn. */
export const whenClosed = (outgoing: Writable, listener: () => unknown): void => {
  if (outgoing.closed) listener()
  else outgoing.on('close', listener)
}

async function textOf(incoming: IncomingMessage, most: number): Promise<string | undefined> {
  if (Number(incoming.headers['content-length'] ?? 0) > most) return undefined
  return await new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    incoming.on('data', (chunk: Buffer) => {
      size += chunk.byteLength
      if (size <= most) chunks.push(chunk)
      else resolve(undefined)
    })
    incoming.on('end', () => resolve(Buffer.concat(chunks).toString()))
    incoming.on('error', reject)
  })
}
