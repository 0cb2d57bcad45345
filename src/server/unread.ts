import type { Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { faultOf } from './answers.ts'
import type { Limits } from './options.ts'

/** Answers requests that Node rejects before they reach a handler, and counts those beyond a limit. */
export function answerUnread(server: Server, { headers, requestTimeout }: Limits, limited: (limit: keyof Limits) => void): void {
  const faultOfCode = (code: string | undefined) => {
    if (code === 'HPE_HEADER_OVERFLOW') {
      limited('headers')
      return faultOf(431, 'too-long', `the headers are longer than ${headers} bytes`)
    }
    if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
      limited('requestTimeout')
      return faultOf(408, 'too-long', `the request took longer than ${requestTimeout} ms to arrive`)
    }
    return faultOf(400, 'invalid', 'this is not an HTTP request')
  }

  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket & { readonly _httpMessage?: ServerResponse | null }) => {
    // As Node itself does: nothing else may be written into an answer that is being sent.
    if (!socket.writable || error.code === 'ECONNRESET' || socket._httpMessage?.headersSent) return void socket.destroy(error)
    const { status, reply } = faultOfCode(error.code)
    const text = JSON.stringify(reply)
    const head = `HTTP/1.1 ${status} -\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n`
    socket.end(head + text)
  })
}
