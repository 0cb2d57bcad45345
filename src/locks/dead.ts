import type { Claim, LockView, SessionRow } from '../protocol/index.ts'
import type { Beacon } from '../store.ts'

/** Whether a session is proved dead now. Always false for a session without a beacon, or if the store's beacons cannot be asked. */
const isDead = async (beacon: Beacon | undefined, { beacon: address }: SessionRow): Promise<boolean> =>
  address !== undefined && (await beacon?.isOut?.(address).catch(() => false)) === true

/** Which of these sessions, other than `own`, are proved dead now. */
export async function deadAmong(rows: Iterable<SessionRow>, beacon: Beacon | undefined, own: string): Promise<Set<string>> {
  const dead = new Set<string>()
  const probe = async (row: SessionRow): Promise<void> => {
    if (row.id !== own && (await isDead(beacon, row))) dead.add(row.id)
  }
  await Promise.all(Array.from(rows, probe))
  return dead
}

/**
 * The sessions that block a refused request and are proved dead: those of the holders and, unless the other holders alone block the request, those of
 * the waiters, up to the first that may be alive. That waiter blocks the request anyway, so those behind it need no check.
 */
export async function deadInTheWay(
  { holders, queue, pins, sessions }: LockView,
  { mode, limit = 1 }: Pick<Claim, 'mode' | 'limit'>,
  beacon: Beacon | undefined,
): Promise<Set<string>> {
  const dead = new Set<string>()
  if (pins.length || !beacon?.isOut) return dead
  const isOver = async (session: string): Promise<boolean> => {
    const row = sessions.get(session)
    if (row && !dead.has(session) && (await isDead(beacon, row))) dead.add(session)
    return !row || dead.has(session)
  }
  let left = limit
  for (const holder of holders) {
    if (!(await isOver(holder.session)) && (mode === 'exclusive' || holder.mode === 'exclusive') && !--left) return dead
  }
  for (const { session } of queue) if (!(await isOver(session))) return dead
  return dead
}
