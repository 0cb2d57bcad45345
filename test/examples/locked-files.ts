import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { VerifyReply } from 'storelock/server'

/**
 * Lets a client read or write a file only with the lockToken of the lock of the same name.
 * @param files serves the files, and refuses old fencing tokens; clients must not reach it directly
 * @param verify asks the lock server whether a lockToken is valid
 * @param origin the origin of the pages that may send requests
 */
export function lockedFiles(files: Server, verify: (key: string, lockToken: string) => Promise<VerifyReply>, origin: string): Server {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<unknown> => {
    response.setHeader('access-control-allow-origin', origin)
    if (request.method === 'OPTIONS') {
      return response.writeHead(204, { 'access-control-allow-methods': 'GET, PUT', 'access-control-allow-headers': 'lock-token' }).end()
    }
    const { method, url = '', headers } = request
    const lockToken = headers['lock-token']
    if (typeof lockToken !== 'string' || !lockToken) return response.writeHead(401).end('which lockToken?')
    const verified = await verify(decodeURIComponent(url.slice(1)), lockToken)
    if (!verified.valid) return response.writeHead(403).end(verified.why)
    if (method !== 'GET' && verified.mode === 'shared') return response.writeHead(403).end('a shared lock is for reading')
    // The lock may be lost right here, so the fencing token goes along: the file server knows the highest token so far.
    headers['fencing-token'] = String(verified.token)
    return files.emit('request', request, response)
  }

  // While the lock server does not answer, no client is let in.
  return createServer((request, response) => {
    answer(request, response).catch(() => response.destroy())
  })
}

/** Verifies lockTokens at a lock server on another address. */
export const verifyAt =
  (locks: string) =>
  async (key: string, lockToken: string): Promise<VerifyReply> => {
    const body = JSON.stringify({ key, lockToken })
    const response = await fetch(`${locks}/v1/verify`, { method: 'POST', body, headers: { 'content-type': 'application/json' } })
    if (!response.ok) throw new Error(`the lock server answered ${response.status}`)
    return (await response.json()) as VerifyReply
  }
