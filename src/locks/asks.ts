import type { LockView, Run } from '../protocol/index.ts'
import type { Holding } from './lease.ts'

/** Tells a hold, through `call`, which requests ask for its lock, or have asked before they gave up: each once. */
export function tellAsked(hold: Holding, { queue, asked = [], sessions }: LockView, call: (listener: () => unknown) => void): void {
  const { onReleaseRequested, heard, name, token } = hold
  if (!onReleaseRequested) return
  const asking = new Set<string>()
  const tell = ({ mode, client: clientId, session, metadata, ask, from, to }: Run, label: string | undefined): void => {
    if (ask === undefined) return
    for (let number = from; number <= to; number++) {
      const id = `${session} ${number}`
      if (!heard?.has(id) && !asking.has(id)) call(() => onReleaseRequested(ask, { name, mode, clientId, session, label, metadata }))
      asking.add(id)
    }
  }
  for (const each of [...asked].reverse()) if (token <= each.token) tell(each, each.label)
  for (const run of queue) tell(run, sessions.get(run.session)?.label)
  hold.heard = asking
}
