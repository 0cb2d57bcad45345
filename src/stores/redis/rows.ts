import { isEmpty, type LockRecord, lastTokenOf, type Outcome } from '../../protocol/index.ts'
import type { Row, Write } from '../remote.ts'
import { versionBytes } from './scripts.ts'

/** A row from the value of its key. */
export const rowOf = (value: string): Row<string> => ({ version: value.slice(0, versionBytes), text: value.slice(versionBytes) })

/** What the script has to do about a row: what, its name, its text, and for a record its fence, for a session its end. */
export function orderFor(id: string, isWritten: boolean, write: Write | undefined): string[] {
  const name = id.slice(2)
  if (!isWritten) return ['keep', name, '', '']
  if (!write) return [id.startsWith('r:') ? 'drop' : 'end', name, '', '']
  const { text, record, session } = write
  if (record) return [isEmpty(record) ? 'idle' : 'busy', name, text, fenceText(record)]
  return session ? ['session', name, text, String(session.expiresAt)] : ['floor', name, text, '']
}

/** The holders of a record, as scripts read them. */
const fenceText = ({ holders }: LockRecord): string =>
  holders.map((holder) => `${holder.token} ${lastTokenOf(holder)} ${JSON.stringify(holder.session)}\n`).join('')

/** A beat that tells of more evictions makes its session look at all that it holds, and renew it only if it is still there. */
export const doubted = (outcome: Outcome, doubts: number): Outcome =>
  outcome.type === 'beaten' ? { ...outcome, session: { ...outcome.session, evictions: outcome.session.evictions + doubts } } : outcome
