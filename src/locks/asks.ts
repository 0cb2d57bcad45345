import type { Claim, Json, LockView } from '../protocol/index.ts'
import type { Hold } from './hold.ts'

/** Tells a hold, through `call`, which requests ask for its lock, or have asked before they gave up: each once. */
export function tellAsked(hold: Hold, { queue, asked = [], sessions }: LockView, call: (listener: () => unknown) => void): void {
  const { onReleaseRequested, heard, name, token } = hold
  if (!onReleaseRequested) return
  const asking = new Set<string>()
  const tell = ({ mode, client: clientId, session, metadata }: Claim, label: string | undefined, ask: Json, number: number): void => {
    const id = `${session} ${number}`
    if (!heard?.has(id) && !asking.has(id)) call(() => onReleaseRequested(ask, { name, mode, clientId, session, label, metadata }))
    asking.add(id)
  }
  for (const each of [...asked].reverse()) if (token <= each.token) tell(each, each.label, each.ask, each.number)
  for (const run of queue) {
    if (run.ask === undefined) continue
    for (let number = run.from; number <= run.to; number++) tell(run, sessions.get(run.session)?.label, run.ask, number)
  }
  hold.heard = asking
}
