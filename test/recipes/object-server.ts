import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

export interface ObjectServer {
  readonly url: string
  /** The answered requests as `METHOD status`, in order. */
  readonly answered: string[]
  close(): Promise<void>
}

/** Keeps objects as documented for S3: an ETag that is the body's MD5, and conditional writes with `If-Match` and `If-None-Match: *`. */
export async function startObjectServer(): Promise<ObjectServer> {
  const objects = new Map<string, string>()
  const answered: string[] = []
  const etagOf = (body: string): string => `"${createHash('md5').update(body).digest('hex')}"`

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method, url = '', headers } = request
    const sent = await text(request)
    const present = objects.get(url)
    const etag = present === undefined ? undefined : etagOf(present)
    const end = (status: number, body = '', etag?: string): void => {
      answered.push(`${method} ${status}`)
      response.writeHead(status, etag ? { etag } : {}).end(body)
    }
    if (method === 'GET') return present === undefined ? end(404) : end(200, present, etag)
    if (headers['if-none-match'] === '*' && present !== undefined) return end(412)
    if (headers['if-match'] !== undefined && headers['if-match'] !== etag) return end(present === undefined ? 404 : 412)
    objects.set(url, sent)
    end(200, '', etagOf(sent))
  }

  const server = createServer((request, response) => void answer(request, response)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    answered,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
