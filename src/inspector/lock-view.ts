import type { HeldInfo, PendingInfo } from '../locks/types.ts'
import type { Json } from '../protocol/index.ts'
import { nameOf } from './changes.ts'
import { button, el, say, type View, Views } from './dom.ts'
import { kindOf, type Row, type Waiter } from './rows.ts'
import { inWords } from './words.ts'

/** The actions that the panel offers for a lock. One that is not allowed is missing. */
export interface Actions {
  ask?(row: Row): void
  revoke?(holder: HeldInfo): void
  /** Whether a session is the one of the locks that the panel was given. */
  isOwn(session: string): boolean
}

/** The most waiters shown for one lock. */
const most = 20

/** A session's label, and its id, which distinguishes sessions with the same label. */
function who({ session, label }: PendingInfo, isOwn: Actions['isOwn']): (Node | string)[] {
  const id = el('bdi', { class: 'dim' }, session)
  return [
    el('bdi', { class: 'who' }, nameOf({ session, label })),
    ...(label === undefined ? [] : [' ', id]),
    ...(isOwn(session) ? [' ', el('span', { class: 'dim' }, '(this page)')] : []),
  ]
}

/** How much of a value in JSON is shown, in characters. */
const longest = 500

function json(name: string, value: Json | undefined): Node[] {
  if (value == null) return []
  const text = JSON.stringify(value)
  return [el('div', { class: 'json' }, `${name} ${text.length > longest ? `${text.slice(0, longest)}…` : text}`)]
}

/** A lock with its holders, its queue and its buttons. */
export function lockView(row: Row, actions: Actions): View<Row> {
  let last = row
  const holders = el('ul', { 'aria-label': 'Holders' })
  const queue = el('ol', { 'aria-label': 'Queue' })
  const state = el('span', { class: 'state' })
  const more = el('p', { class: 'dim' })
  const asks = actions.ask
  const asking = button('Ask…', () => asks?.(last), { 'aria-label': `Ask the holders of ${row.name} to release it` })
  const head = el('div', { class: 'head' }, el('h3', {}, el('bdi', {}, row.name)), state, ...(asks ? [asking] : []))
  const node = el('li', { class: 'lock' }, head, holders, queue, more)
  const held = new Views<HeldInfo>(
    holders,
    ({ session, token }) => `${session} ${token}`,
    (holder) => holderView(holder, actions),
  )
  const waiting = new Views<readonly [at: number, waiter: Waiter]>(
    queue,
    ([at, { session, mode, ask }]) => JSON.stringify([at, session, mode, ask]),
    ([, waiter]) => waiterView(waiter, actions),
  )
  return {
    node,
    update(row) {
      last = row
      const count = row.queue.reduce((sum, { count }) => sum + count, 0)
      say(state, `${row.holders.length ? 'held' : 'free'}${count ? `, ${count} waiting` : ''}`)
      held.show(row.holders)
      waiting.show(row.queue.slice(0, most).map((waiter, at) => [at, waiter] as const))
      queue.hidden = !row.queue.length
      more.hidden = row.queue.length <= most
      say(more, `and ${row.queue.length - most} more`)
      // To ask is to wait for the holder, and this page's session cannot wait for itself.
      asking.hidden = row.holders.every(({ session }) => actions.isOwn(session))
    },
  }
}

function holderView(holder: HeldInfo, { revoke, isOwn }: Actions): View<HeldInfo> {
  const { name, session, token, metadata } = holder
  const beat = el('div', { class: 'dim' })
  const left = el('progress', { 'aria-label': 'Left of its lease' })
  const shown = el('div', { class: 'facts' }, ...who(holder, isOwn), el('div', {}, `${kindOf(holder)}, token ${token}`), beat, left)
  shown.append(...json('metadata', metadata))
  const label = `Revoke ${name}, which ${nameOf(holder)} holds`
  const node = el('li', { 'data-session': session }, shown, ...(revoke ? [button('Revoke…', () => revoke(holder), { 'aria-label': label })] : []))
  return {
    node,
    update({ since, expiresAt, lease }) {
      const now = Date.now()
      const over = now - expiresAt
      const beaten = `renewed ${inWords(Math.max(0, over + lease))} ago`
      const end = over > 0 ? `overdue since ${inWords(over)}` : `ends in ${inWords(-over)} unless renewed`
      say(beat, `held for ${since === undefined ? '?' : inWords(Math.max(0, now - since))}, ${beaten}, ${end}`)
      left.max = lease || 1
      left.value = Math.max(0, Math.min(lease, -over))
      node.classList.toggle('overdue', over > 0)
    },
  }
}

function waiterView(waiter: Waiter, { isOwn }: Actions): View<readonly [number, Waiter]> {
  const kind = el('div')
  const shown = el('div', { class: 'facts' }, ...who(waiter, isOwn), kind, ...json('asks', waiter.ask), ...json('metadata', waiter.metadata))
  return {
    node: el('li', { 'data-session': waiter.session }, shown),
    update: ([, waiter]) => say(kind, `${kindOf(waiter)}${waiter.count > 1 ? `, ${waiter.count} requests` : ''}`),
  }
}
