import { type LockView, type Outcome, type PlainView, plainView, type SessionRow } from '../protocol/index.ts'
import type { WireOutcome } from './wire.ts'

/** Replaces the address of a beacon: waiters need to know that there is one, but clients on the network must not learn where. */
const hidden = 'hidden'

/** A record as clients see it. */
export const veiled = (view: LockView): PlainView =>
  plainView({ ...view, sessions: new Map([...view.sessions].map(([id, row]) => [id, veiledRow(row)])) })

/** An outcome as clients see it. */
export const veiledOutcome = (outcome: Outcome): WireOutcome => ('record' in outcome ? { ...outcome, record: veiled(outcome.record) } : outcome)

/** A session's row as clients see it. */
export const veiledRow = (row: SessionRow): SessionRow => (row.beacon === undefined ? row : { ...row, beacon: hidden })
