import type { LockView, Outcome, SessionRow } from '../protocol/index.ts'

/** Stands for the address of a beacon: that there is one matters to who waits, but where is nobody's business over the network. */
const hidden = 'hidden'

/** A record as it goes out. */
export function veiled(view: LockView): LockView {
  const rows = Object.entries(view.sessions)
  if (rows.every(([, { beacon }]) => beacon === undefined)) return view
  return { ...view, sessions: Object.fromEntries(rows.map(([id, row]) => [id, veiledRow(row)])) }
}

/** An outcome as it goes out. */
export const veiledOutcome = (outcome: Outcome): Outcome => {
  if (!('record' in outcome)) return outcome
  const record = veiled(outcome.record)
  return record === outcome.record ? outcome : { ...outcome, record }
}

const veiledRow = (row: SessionRow): SessionRow => (row.beacon === undefined ? row : { ...row, beacon: hidden })
