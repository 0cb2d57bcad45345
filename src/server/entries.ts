import { createHash } from 'node:crypto'
import type { Outcome } from '../protocol/index.ts'
import type { Caller } from './access.ts'
import type { NewEntry } from './journal.ts'
import type { LogKind, WireCommand } from './wire.ts'

/** The longest key and the longest reason of an entry, in characters. */
const longest = { key: 400, why: 200 }

/** What an entry is about, besides the key. */
export interface About {
  readonly session?: string | undefined
  readonly token?: number | undefined
}

/** The log entries for what a command did. @param caller its sender; missing for the server's own commands */
export function entriesOf(command: WireCommand, outcome: Outcome, caller?: Caller): NewEntry[] {
  const entries: NewEntry[] = []
  const note = (kind: LogKind, key: string, about: About): void => void entries.push(entryOf(kind, key, about, caller))
  const { type } = command
  if ('grants' in outcome) {
    const lost: LogKind = type === 'request' ? 'steal' : type === 'revoke' ? 'revoke' : 'eviction'
    for (const holder of outcome.evicted) note(lost, outcome.record.key, holder)
    if (outcome.type === 'granted' && !outcome.repeated) note('grant', outcome.record.key, outcome.holder)
  }
  if (outcome.type === 'done' && type === 'release') note('release', command.key, command)
  if (outcome.type === 'done' && type === 'withdraw') note('withdrawal', command.key, { session: command.session })
  if (outcome.type === 'ended' && type === 'end') note('end', '', command)
  if ('grants' in outcome) for (const holder of outcome.grants) note('grant', outcome.record.key, holder)
  return entries
}

/** An entry with the current time. Long texts are cut. */
export function entryOf(kind: LogKind, key: string, { session, token }: About, caller?: Caller, why?: string, omitted?: number): NewEntry {
  const short = { key: shortKey(key), why: why === undefined ? undefined : shortened(why, longest.why) }
  return { at: Date.now(), kind, ...short, session, token, who: caller?.name || undefined, address: caller?.address, omitted }
}

const shortened = (text: string, most: number): string => (text.length <= most ? text : `${text.slice(0, most)}…`)

/** A key as entries store it: a very long key is cut and ends in a hash, so that it can still be found. */
export const shortKey = (key: string): string =>
  key.length <= longest.key
    ? key
    : `${key.slice(0, longest.key).replace(/[\uD800-\uDBFF]$/, '')}…${createHash('sha256').update(key).digest('hex').slice(0, 16)}`
