import type { ClientCertificate } from './certificates.ts'
import type { Incoming } from './pipeline.ts'

/** What the server knows about a request besides its contents. */
export interface From {
  readonly address?: string | undefined
  readonly certificate?: ClientCertificate | undefined
  /** Registers a function that is called when the answer has been sent, or its connection is gone. */
  readonly ended?: (listener: () => void) => void
  /** Registers a function that is called if the connection is gone before the answer has been sent. Default: when the request's signal aborts. */
  readonly cut?: (listener: () => void) => void
}

export function incomingOf(request: Request, { address, certificate, ended }: From): Incoming {
  const { headers, method } = request
  const { pathname: path, searchParams: query, host } = new URL(request.url)
  return {
    asked: { method, path, host: headers.get('host') ?? host, address, certificate, header: (name) => headers.get(name) },
    query,
    text: (most) => textOf(request, most),
    ended,
  }
}

async function textOf({ headers, body }: Request, most: number): Promise<string | undefined> {
  if (Number(headers.get('content-length') ?? 0) > most) return undefined
  const chunks: Uint8Array[] = []
  let size = 0
  const reader = body?.getReader()
  for (;;) {
    const { done = true, value } = (await reader?.read()) ?? {}
    if (done || !value) return Buffer.concat(chunks).toString()
    size += value.byteLength
    // Leave the rest unread: to cancel the reader would close the connection before the answer is sent.
    if (size > most) return undefined
    chunks.push(value)
  }
}
