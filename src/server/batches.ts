import type { Caller } from './access.ts'
import { type Fault, faultOf, mayOnlyRead } from './answers.ts'
import { whoOf } from './budgets.ts'
import type { Desk } from './desk.ts'
import type { Limits } from './options.ts'
import type { Sender } from './senders.ts'
import type { Switchboard } from './switchboard.ts'
import type { Turns } from './turns.ts'
import type { ApplyBody, ApplyReply, WireOutcome } from './wire.ts'

/** A reply with fewer outcomes than this is made without a turn of its own. */
const few = 16

/** Answers a well-formed `POST /v1/apply`. */
export type Batches = (caller: Caller, body: ApplyBody) => Promise<{ readonly text: string } | { readonly fault: Fault }>

export function makeBatches(desk: Desk, switchboard: Switchboard, turns: Turns, limits: Limits): Batches {
  const done = async (caller: Caller, commands: ApplyBody['commands'], sender: Sender | undefined): Promise<{ readonly text: string }> => {
    const reply = await desk.apply(caller, commands, sender)
    // A short reply takes no time.
    return { text: commands.length < few ? textOf(reply, limits.answer) : await turns.run(whoOf(caller), () => textOf(reply, limits.answer)) }
  }

  return async (caller, { commands, sender, batch, void: voided, topics }) => {
    if (caller.readOnly && commands.length) return { fault: mayOnlyRead(caller) }
    if (sender === undefined) return await done(caller, commands, undefined)
    const from = switchboard.senderOf(sender, caller)
    if ('status' in from) return { fault: from }
    if (voided !== undefined) from.giveUp(voided)
    return await from.inTurn(async () => {
      if (batch !== undefined && from.isVoid(batch)) return { fault: faultOf(409, 'void', 'the sender has given this batch up') }
      // Set the topics first: once the commands are carried out, the reply must report their outcomes and not a fault.
      const fault = topics && switchboard.setTopics(from, topics)
      return fault ? { fault } : await done(caller, commands, from)
    })
  }
}

/** A reply as text, with each key's record once, and without the records that would make it longer than `most` characters. */
function textOf({ outcomes, lockTokens }: ApplyReply, most: number): string {
  if (outcomes.length === 1) {
    const text = JSON.stringify({ outcomes, lockTokens })
    if (text.length <= most) return text
  }
  const texts: string[] = []
  const shown = new Set<string>()
  let length = 0
  for (const outcome of outcomes.toReversed()) {
    const key = 'record' in outcome ? outcome.record.key : undefined
    const whole = key === undefined || shown.has(key) ? undefined : JSON.stringify(outcome)
    const fits = whole !== undefined && length + whole.length <= most
    const text = fits ? whole : JSON.stringify(withoutRecord(outcome))
    if (key !== undefined) shown.add(key)
    length += text.length
    texts.push(text)
  }
  return `{"outcomes":[${texts.reverse().join(',')}],"lockTokens":${JSON.stringify(lockTokens)}}`
}

const withoutRecord = (outcome: WireOutcome): object => ({ ...outcome, record: undefined })
