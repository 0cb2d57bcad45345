import type { Caller } from './access.ts'
import { bodyTooLong, brokenOff, faultOf, faultOfError, malformed, type Said, saidOf } from './answers.ts'
import type { Batches } from './batches.ts'
import { whoOf } from './budgets.ts'
import { isTooDeep, tooDeep } from './depth.ts'
import type { Limits } from './options.ts'
import type { Incoming } from './pipeline.ts'
import { applyBody } from './schemas/asked.ts'
import type { Turns } from './turns.ts'

export const applyPath = '/v1/apply'
/** A body longer than this, in characters, is parsed, checked and carried out in separate turns. */
const long = 16_384

interface Parts {
  readonly batches: Batches
  readonly limits: Limits
  readonly turns: Turns
  readonly onError: (error: unknown) => void
  readonly limited: (limit: keyof Limits) => void
}

/** Answers `POST /v1/apply` from the text of its body. Nearly all requests are batches, so they bypass the framework. */
export function makeBatchRoute({ batches, limits, turns, onError, limited }: Parts): (caller: Caller, incoming: Incoming) => Promise<Said> {
  const schema = applyBody(limits.batch)
  return async (caller, incoming) => {
    if (!/^application\/json\b/i.test(incoming.asked.header('content-type') ?? '')) {
      return saidOf(faultOf(400, 'invalid', 'the body has to be JSON, with `content-type: application/json`'))
    }
    let text: string | undefined
    try {
      text = await incoming.text(limits.body)
    } catch {
      return saidOf(brokenOff)
    }
    if (text === undefined) {
      limited('body')
      return saidOf(bodyTooLong(limits, { connection: 'close' }))
    }
    const whole = text
    const isLong = whole.length > long
    const who = whoOf(caller)
    return await turns.run(who, async () => {
      if (isTooDeep(whole)) return saidOf(faultOf(400, 'invalid', tooDeep))
      const parsed = jsonOf(whole)
      if (!parsed) return saidOf(faultOf(400, 'invalid', 'the body is not JSON'))
      if (isLong) await turns.rest(who)
      const body = schema.safeParse(parsed.value)
      if (isLong) await turns.rest(who)
      if (!body.success) return saidOf(malformed(body.error))
      const done = await batches(caller, body.data).catch((error) => ({ fault: faultOfError(error, onError) }))
      return 'fault' in done ? saidOf(done.fault) : { status: 200, headers: {}, text: done.text }
    })
  }
}

function jsonOf(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) }
  } catch {
    return undefined
  }
}
