import { isEmpty, type LockRecord, lastTokenOf, type Outcome } from '../../protocol/index.ts'
import type { Row, Write } from '../remote.ts'
import { versionBytes } from './scripts.ts'

/** Splits the value of a row's key into version and text. */
export const rowOf = (value: string): Row<string> => ({ version: value.slice(0, versionBytes), text: value.slice(versionBytes) })

/** The script's arguments for a row to write: what to do, the row's name, its text, and for a record its fence, for a session its expiry time. */
export function orderFor(id: string, write: Write | undefined): string[] {
  const name = id.slice(2)
  if (!write) return [id.startsWith('r:') ? 'drop' : 'end', name, '', '']
  const { text, record, session } = write
  if (record) return [isEmpty(record) ? 'idle' : 'busy', name, text, fenceText(record)]
  return session ? ['session', name, text, String(session.expiresAt)] : ['floor', name, text, '']
}

/** The holders of a record, in the format that the scripts read. */
const fenceText = ({ holders }: LockRecord): string =>
  holders.map((holder) => `${holder.token} ${lastTokenOf(holder)} ${JSON.stringify(holder.session)}\n`).join('')

/** Raises the evictions that a beat reports: its session then looks at every lock that it holds, and renews only those that are still there. */
export const doubted = (outcome: Outcome, doubts: number): Outcome =>
  outcome.type === 'beaten' ? { ...outcome, session: { ...outcome.session, evictions: outcome.session.evictions + doubts } } : outcome
