import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Caller } from './access.ts'
import { bodyTooLong, type Fault, faultOf, faultOfError, malformed } from './answers.ts'
import type { Batches } from './batches.ts'
import { whoOf } from './budgets.ts'
import { certificateOf } from './certificates.ts'
import { isTooDeep, tooDeep } from './depth.ts'
import type { Asked } from './guard.ts'
import type { Limits } from './options.ts'
import type { Requests } from './requests.ts'
import { applyBody } from './schemas/asked.ts'
import type { Turns } from './turns.ts'
import { lengthOf, type Visit } from './visits.ts'

type Listener = (incoming: IncomingMessage, outgoing: ServerResponse) => void

interface Parts {
  /** Admits a request, or says why not, with the headers that a page needs to read the answer. */
  admit(asked: Asked): { readonly admitted: Caller | Fault; readonly shared: Readonly<Record<string, string>> }
  readonly batches: Batches
  readonly limits: Limits
  readonly visits: (caller: Caller) => Visit | Fault
  readonly onError: (error: unknown) => void
  /** Counts a request as pending. */
  during<T>(work: Promise<T>): Promise<T>
  readonly requests: Requests
  readonly turns: Turns
  readonly limited: (limit: keyof Limits) => void
}

const path = '/v1/apply'

/**
 * Answers `POST /v1/apply` straight from Node's request to its response: nearly half of a server's time went into the framework's request and
 * response objects, which everything else uses.
 */
export function expressLine({ admit, batches, limits, visits, onError, during, requests, turns, limited }: Parts, otherwise: Listener): Listener {
  const schema = applyBody(limits.batch)

  const carryOut = async (caller: Caller, incoming: IncomingMessage): ReturnType<Batches> => {
    const text = await textOf(incoming, limits.body)
    if (text === undefined) {
      limited('body')
      return { fault: bodyTooLong(limits, { connection: 'close' }) }
    }
    return await turns.run(whoOf(caller), async () => {
      if (isTooDeep(text)) return { fault: faultOf(400, 'invalid', tooDeep) }
      const parsed = jsonOf(text)
      if (!parsed) return { fault: faultOf(400, 'invalid', 'the body is not JSON') }
      const body = schema.safeParse(parsed.value)
      if (!body.success) return { fault: malformed(body.error) }
      return await batches(caller, body.data).catch((error) => ({ fault: faultOfError(error, onError) }))
    })
  }

  const answer = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const { headers, socket } = incoming
    const header = (name: string): string | null => (headers[name] as string | undefined) ?? null
    const asked = { method: 'POST', path, host: headers.host ?? '', header, address: socket.remoteAddress, certificate: certificateOf(socket) }
    const { admitted, shared } = admit(asked)
    const end = requests(asked, admitted)
    const write = (status: number, text: string, more: Readonly<Record<string, string>> = {}): void => {
      // With a known length it is sent in one piece.
      outgoing.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), ...more, ...shared })
      outgoing.end(text)
      end(status)
    }
    const refuse = ({ status, reply, headers }: Fault): void => write(status, JSON.stringify(reply), headers)
    if ('status' in admitted) return refuse(admitted)
    const visit = visits(admitted)
    if ('status' in visit) return refuse(visit)
    outgoing.on('close', visit.end)
    const fault = visit.carry(lengthOf(headers['content-length'], limits))
    if (fault) return refuse(fault)
    const done = await carryOut(admitted, incoming)
    if ('fault' in done) return refuse(done.fault)
    // The answer is sent even if the budget is exceeded: the commands were carried out.
    visit.carry(done.text.length)
    write(200, done.text)
  }

  return (incoming, outgoing) => {
    const isBatch = incoming.method === 'POST' && incoming.url === path && /^application\/json\b/i.test(incoming.headers['content-type'] ?? '')
    // Nobody waits for a broken request.
    if (isBatch) during(answer(incoming, outgoing)).catch(() => outgoing.destroy())
    else otherwise(incoming, outgoing)
  }
}

/** A body as text; `undefined` if it is longer than `most` bytes. @throws if it breaks off */
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

function jsonOf(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) }
  } catch {
    return undefined
  }
}
