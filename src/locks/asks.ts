import type { Json, LockView } from '../protocol/index.ts'
import type { Hold } from './hold.ts'
import type { LockInfo } from './types.ts'

/** Tells a hold, through `call`, which requests in the queue ask for its lock: each once. */
export function tellAsked(hold: Hold, { queue, sessions }: LockView, call: (listener: () => unknown) => void): void {
  const { onReleaseRequested, heard } = hold
  if (!onReleaseRequested) return
  const asking = new Set<string>()
  for (const { mode, client: clientId, session, metadata, ask, from, to } of queue) {
    if (ask === undefined) continue
    const who: LockInfo = { name: hold.name, mode, clientId, session, label: sessions.get(session)?.label, metadata }
    for (let number = from; number <= to; number++) {
      const id = `${session} ${number}`
      asking.add(id)
      if (!heard?.has(id)) call(() => onReleaseRequested(ask as Json, who))
    }
  }
  hold.heard = asking
}
