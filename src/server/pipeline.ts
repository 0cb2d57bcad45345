import type { Caller } from './access.ts'
import { type Fault, type Said, saidOf } from './answers.ts'
import type { Asked } from './guard.ts'
import type { Limits } from './options.ts'
import type { Requests } from './requests.ts'
import { lengthOf, type Visit } from './visits.ts'

/** A request, either straight from Node's server or as a `Request`. */
export interface Incoming {
  readonly asked: Asked
  readonly query?: URLSearchParams
  /** The body, or `undefined` if it is longer than `most` bytes. @throws if the connection breaks off */
  text(most: number): Promise<string | undefined>
  /** Registers a function that is called when the answer has been sent, or its connection is gone. Without it, a request ends with its answer. */
  readonly ended?: ((listener: () => void) => void) | undefined
}

interface Parts {
  /** Admits a request, or says why not. */
  admit(asked: Asked): Caller | Fault
  /** The headers that a page needs to read the answer. */
  shared(asked: Asked): Readonly<Record<string, string>>
  readonly requests: Requests
  readonly visits: (caller: Caller) => Visit | Fault
  readonly limits: Limits
}

/** Admits a request, measures it, and has it answered within its caller's budget. */
export type Pipeline = <A extends Said | Response>(incoming: Incoming, respond: (caller: Caller) => Promise<A>) => Promise<Said | A>

/** Makes the steps that every request goes through, whichever route answers it. */
export function makePipeline({ admit, shared, requests, visits, limits }: Parts): Pipeline {
  const visited: (...asked: [...Parameters<Pipeline>, Caller]) => Promise<Said | Response> = async ({ asked, query, ended }, respond, caller) => {
    const visit = visits(caller)
    if ('status' in visit) return saidOf(visit)
    try {
      const body = asked.method === 'POST' ? lengthOf(asked.header('content-length'), limits) : 0
      // Until a list is made, it counts as the longest possible.
      const ahead = asked.method === 'GET' && isList(asked.path, query) ? limits.answer : 0
      const fault = visit.carry(body + ahead)
      if (fault) {
        visit.end()
        return saidOf(fault)
      }
      const answer = await respond(caller)
      const length = lengthOfAnswer(answer)
      const tooMuch = visit.carry(Math.max(0, (length ?? 0) - ahead))
      if (ended && length !== undefined) ended(visit.end)
      else visit.end()
      // The commands of a batch have been carried out, so its answer is sent in any case.
      return tooMuch && answer instanceof Response ? saidOf(tooMuch) : answer
    } catch (error) {
      visit.end()
      throw error
    }
  }

  return async (incoming, respond) => {
    const { asked } = incoming
    const admitted = admit(asked)
    const end = requests(asked, admitted)
    const answer =
      'status' in admitted ? saidOf(admitted) : ((await visited(incoming, respond, admitted)) as Said | Awaited<ReturnType<typeof respond>>)
    end(answer.status)
    for (const [name, value] of Object.entries(shared(asked))) {
      if (answer instanceof Response) answer.headers.append(name, value)
      else answer.headers[name] = value
    }
    return answer
  }
}

/** The length of an answer in bytes; `undefined` for a stream. */
function lengthOfAnswer(answer: Said | Response): number | undefined {
  if (!(answer instanceof Response)) return Buffer.byteLength(answer.text)
  const length = answer.headers.get('content-length')
  return length === null ? undefined : Number(length)
}

/** Whether the answer may be as long as the limit `answer` allows. */
const isList = (path: string, query?: URLSearchParams): boolean => path === '/v1/log' || (path === '/v1/locks' && !query?.has('key'))
