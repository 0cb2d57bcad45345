import type { LockEvent } from '../locks/events.ts'
import type { Change } from './changes.ts'

/** An event as a line of the list. */
export interface Told {
  readonly id: number
  /** Wall time in ms. */
  readonly at: number
  readonly text: string
}

let count = 0
const told = (at: number, text: string): Told => ({ id: ++count, at, text })

/** The line for a change between two looks. */
export const ofChange = ({ at, key, event, who, token }: Change): Told =>
  told(at, `${key}: ${event}, ${who}${token === undefined ? '' : `, token ${token}`}`)

/** The line for an event that `observe` received; `undefined` for frequent events, whose results the panel shows elsewhere. */
export function ofEvent(event: LockEvent): Told | undefined {
  const { type } = event
  if (type === 'renewed' || type === 'looked' || type === 'hinted') return undefined
  const { key, session } = event
  const isOther = type === 'evicted' || (type === 'granted' && !event.own)
  const details = [
    isOther ? `session ${session}` : 'this session',
    'token' in event ? `token ${event.token}` : `request ${event.number}`,
    ...('reason' in event ? [event.reason] : []),
    ...(type === 'released' && event.lingers ? ['lingers'] : []),
  ]
  return told(Date.now(), `${key}: ${type}, ${details.join(', ')}`)
}
