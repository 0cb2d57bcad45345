import type { LockRecord, LockView, SessionRow } from './record.ts'

/** A view in the form of JSON, which has no maps. */
export interface PlainView extends LockRecord {
  readonly sessions: Readonly<Record<string, SessionRow>>
}

/** Neither `fromEntries` nor `JSON.parse` confuses a session called `__proto__` with the prototype. */
export const plainView = (view: LockView): PlainView => ({ ...view, sessions: Object.fromEntries(view.sessions) })

/** @see {@link plainView}, its inverse */
export const viewOfPlain = (plain: PlainView): LockView => ({ ...plain, sessions: new Map(Object.entries(plain.sessions)) })
