import { type LockView, type Outcome, type PlainView, plainView, type SessionRow } from '../protocol/index.ts'
import type { WireOutcome } from './wire.ts'

/** Stands for the address of a beacon: that there is one matters to who waits, but where is nobody's business over the network. */
const hidden = 'hidden'

/** A record as it goes out. */
export const veiled = (view: LockView): PlainView =>
  plainView({ ...view, sessions: new Map([...view.sessions].map(([id, row]) => [id, veiledRow(row)])) })

/** An outcome as it goes out. */
export const veiledOutcome = (outcome: Outcome): WireOutcome => ('record' in outcome ? { ...outcome, record: veiled(outcome.record) } : outcome)

/** A session's row as it goes out. */
export const veiledRow = (row: SessionRow): SessionRow => (row.beacon === undefined ? row : { ...row, beacon: hidden })
