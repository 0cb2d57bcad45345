import type { LockView, Run } from '../protocol/index.ts'
import type { Holding } from './lease.ts'

/** Calls a hold's listener, through `call`, for each request that asks for its lock, or that asked before it left the queue: once each. */
export function tellAsked(hold: Holding, { queue, asked = [], sessions }: LockView, call: (listener: () => unknown) => void): void {
  const { onReleaseRequested, heard, name, token } = hold
  if (!onReleaseRequested) return
  const asking = new Set<string>()
  const tell = ({ mode, limit, client: clientId, session, metadata, ask, from, to }: Run, label: string | undefined): void => {
    if (ask === undefined) return
    for (let number = from; number <= to; number++) {
      const id = `${session} ${number}`
      if (!heard?.has(id) && !asking.has(id)) call(() => onReleaseRequested(ask, { name, mode, limit, clientId, session, label, metadata }))
      asking.add(id)
    }
  }
  for (const each of [...asked].reverse()) if (token <= each.token) tell(each, each.label)
  for (const run of queue) tell(run, sessions.get(run.session)?.label)
  hold.heard = asking
}
