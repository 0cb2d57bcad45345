import { LockError } from '../protocol/index.ts'
import { z } from './libraries.ts'
import type { Limits } from './options.ts'
import type { ErrorReply, OverLimit } from './wire.ts'

/** An answer that reports a failure. */
export interface Fault {
  readonly status: number
  readonly reply: ErrorReply
  readonly headers: Readonly<Record<string, string>>
}

export const faultOf = (status: number, code: ErrorReply['error']['code'], message: string, headers: Record<string, string> = {}): Fault => ({
  ...{ status, reply: { error: { code, message } }, headers },
})

/** The longest description of what is wrong with a body, in characters. */
const longest = 500

/** A body or a query is malformed. */
export function malformed(error: z.ZodError): Fault {
  const why = z.prettifyError(error)
  return faultOf(400, 'invalid', why.length > longest ? `${why.slice(0, longest)}…` : why)
}

/** A credential has, or asks for, more than its limit. */
export const tooMany = (limits: Limits, limit: keyof Limits): Fault =>
  faultOf(429, 'too-many', `more than ${limits[limit]} ${limit} of this credential: wait, or have the limit \`${limit}\` raised`, {
    'retry-after': '1',
  })

/** A body has too many bytes. */
export const bodyTooLong = ({ body }: Limits, headers?: Record<string, string>): Fault =>
  faultOf(413, 'too-long', `the body is longer than ${body} bytes: send less at a time, or have the limit \`body\` raised`, headers)

/** A credential that may only read tried something else. */
export const mayOnlyRead = ({ name }: { readonly name: string }): Fault => faultOf(403, 'forbidden', `the client ${name} may only read`)

/** The body did not arrive whole. The client cannot read this answer; it is not a 500 because the server has not failed. */
export const brokenOff = faultOf(400, 'invalid', 'the connection broke off before the body had arrived')

/** An answer in JSON that is sent in one piece. */
export interface Said {
  readonly status: number
  readonly headers: Record<string, string>
  readonly text: string
}

export const saidOf = ({ status, reply, headers }: Fault): Said => ({ status, headers: { ...headers }, text: JSON.stringify(reply) })

/** The answer as a `Response`; a `Response` is returned unchanged. */
export const responseOfSaid = (answer: Said | Response): Response =>
  answer instanceof Response ? answer : new Response(answer.text, { status: answer.status, headers: headersOf(answer) })

/** With a `content-length` the answer is sent in one piece. */
export const headersOf = ({ headers, text }: Said): Record<string, string> => ({
  'content-type': 'application/json',
  'content-length': `${Buffer.byteLength(text)}`,
  ...headers,
})

/** A fault as a `Response`. */
export const responseOf = ({ status, reply, headers }: Fault): Response => Response.json(reply, { status, headers })

export const answer = (...fault: Parameters<typeof faultOf>): Response => responseOf(faultOf(...fault))

const statuses: Partial<Record<LockError['code'], number>> = { invalid: 400, corrupt: 422, store: 503, closed: 503 }

/** The answer to an unexpected error. @param unforeseen called with errors that are not a `LockError` */
export function faultOfError(error: unknown, unforeseen: (error: unknown) => void): Fault {
  if (error instanceof LockError) return faultOf(statuses[error.code] ?? 409, error.code, error.message)
  unforeseen(error)
  return faultOf(500, 'store', 'the server failed')
}

/** The answer to a failed command, for the plain routes, whose clients send no commands. */
export function faultOfFailed({ code, message, limit }: Partial<OverLimit> & Pick<LockError, 'code' | 'message'>): Fault {
  if (limit !== undefined) return faultOf(429, 'too-many', message, { 'retry-after': '1' })
  return faultOf(statuses[code] ?? 409, code, message)
}
