import { type KeyCommand, keyPrefix, LockError, seqOf, storedName } from '../protocol/index.ts'
import { refusalOf } from './contention.ts'
import type { Line } from './line.ts'
import type { Session } from './session.ts'
import { snapshotOf } from './snapshot.ts'
import type { LocksSnapshot } from './types.ts'

/** Evicts the holders if they stay silent for their whole lease; rejects as soon as one shows that it is alive. */
export async function expireHolders(session: Session, line: Line): Promise<void> {
  const name = JSON.stringify(line.name)
  let signs: Map<number, number | undefined> | undefined
  for (;;) {
    session.assertOpen()
    const { view, evicting } = await line.looks.look(true)
    const { pins, sessions } = view
    if (!signs && !view.holders.length) throw new LockError('not-held', `nobody holds ${name}`)
    signs ??= new Map(view.holders.map((holder) => [holder.token, seqOf(holder, sessions)]))
    // Holders that got the lock later are not the ones to evict.
    const holders = view.holders.filter(({ token }) => signs?.has(token))
    if (!holders.length) return
    if (pins.length) throw refusalOf(session, 'held', `${name} is pinned by ${pins.join(', ')}`, holders)
    if (holders.some((holder) => sessions.has(holder.session) && signs?.get(holder.token) !== seqOf(holder, sessions)))
      throw refusalOf(session, 'held', `${name} has a live holder`, holders)
    if (evicting) await evicting
    else if (!(await line.looks.endDead(view))) await line.looks.pause(view, session.settings.maxBackoff)
  }
}

/** Sends an operator's command; a refusal becomes an error with the holders. */
export async function command(session: Session, name: string, order: KeyCommand): Promise<void> {
  const { outcome } = await session.send(order)
  if (outcome.type === 'failed') throw new LockError(outcome.code, outcome.message)
  if (outcome.type !== 'refused') return
  const { reason, record } = outcome
  const code = reason === 'not-owner' || reason === 'not-held' ? reason : 'held'
  throw refusalOf(session, code, `${order.type} of ${JSON.stringify(name)} was refused: ${reason}`, record.holders)
}

/** The holders and waiters of one key, or of the whole namespace. */
export async function snapshot(session: Session, key?: string): Promise<LocksSnapshot> {
  const { namespace } = session.settings
  // Requests made before this call must be in the result.
  await session.answered()
  const views = await session.read(async (store) => (key === undefined ? store.list(keyPrefix(namespace), { busy: true }) : [await store.read(key)]))
  const dead = await session.dead(new Map(views.flatMap((view) => [...(view?.sessions ?? [])])).values())
  return snapshotOf(
    views.flatMap((view) => view ?? []),
    {
      nameOf(key) {
        const { name, namespace: home } = storedName(key)
        return home === namespace ? name : undefined
      },
      isDead: (session) => dead.has(session),
      // A lease of this session's own that only lingers is not shown as held.
      isIdle: (key, { session: id, token }) => id === session.id && session.lines.get(key)?.leases.isIdle(token) === true,
    },
  )
}
