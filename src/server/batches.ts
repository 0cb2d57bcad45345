import type { Caller } from './access.ts'
import { type Fault, faultOf } from './answers.ts'
import type { Desk } from './desk.ts'
import type { Switchboard } from './switchboard.ts'
import type { ApplyBody, ApplyReply } from './wire.ts'

/** Answers `POST /v1/apply`, once it is known to be well-formed. */
export type Batches = (caller: Caller, body: ApplyBody) => Promise<{ readonly reply: ApplyReply } | { readonly fault: Fault }>

export const makeBatches =
  (desk: Desk, switchboard: Switchboard): Batches =>
  async (caller, { commands, sender, batch, void: voided, topics }) => {
    if (sender === undefined) return { reply: await desk.apply(caller, commands, undefined) }
    const from = switchboard.senderOf(sender, caller)
    if (voided !== undefined) from.giveUp(voided)
    return await from.inTurn(async () => {
      if (batch !== undefined && from.isVoid(batch)) return { fault: faultOf(409, 'void', 'the sender has given this batch up') }
      const reply = await desk.apply(caller, commands, from)
      if (topics) switchboard.setTopics(from, topics)
      return { reply }
    })
  }
