import { expiryOf, type LockError, type LockView, leaseOf, seqOf } from '../protocol/index.ts'
import type { Hold } from './hold.ts'
import type { Home } from './home.ts'
import type { Line } from './line.ts'
import type { Wish } from './wish.ts'

/** How long the holder of a lock that may only linger has to release it for a request that does not wait, in ms. */
const moment = 100

/** Waits for the lock as long as the wish allows. Rejects with `held` if it allows no wait, and the lock is not available. */
export function acquire(session: Home, line: Line, wish: Wish): Promise<Hold> {
  return wish.timeout === 0 || wish.ifNoQueue ? acquireIf(session, line, wish) : (line.ask(wish) as Promise<Hold>)
}

async function acquireIf(session: Home, line: Line, wish: Wish): Promise<Hold> {
  const hold = await seek(session, line, wish)
  if (!hold) throw line.refusal()
  return hold
}

/** As {@link acquire}, but resolves with `null` if the wish allows no wait, or the queue is not empty and `ifNoQueue` is set. */
export function seek(session: Home, line: Line, wish: Wish): Promise<Hold | null> {
  const now = wish.timeout === 0 && !(wish.steal && wish.ask === undefined)
  return now ? askNow(line, wish) : wish.ifNoQueue ? pounce(session, line, wish) : line.ask(wish)
}

/** Requests the lock if nobody waits for it. Waiters that are proved dead do not count. */
async function pounce(session: Home, line: Line, wish: Wish): Promise<Hold | null> {
  const hold = await line.ask(wish)
  if (hold) return hold
  const view = await session.read((store) => store.read(line.key))
  const dead = await session.dead(view?.sessions.values() ?? [])
  await Promise.allSettled([...dead].map((id) => session.send({ type: 'end', session: id })))
  return dead.size ? line.ask(wish) : null
}

/**
 * Requests the lock without waiting: `null` if it is not available. Dead sessions do not block it; a holder that may only linger gets a moment to
 * release.
 */
export async function askNow(line: Line, wish: Wish): Promise<Hold | null> {
  const now: Wish = { ...wish, timeout: undefined, ifAvailable: true }
  let hold = await line.ask(now)
  if (!hold && (await line.looks.clearWay(wish))) hold = await line.ask(now)
  if (hold || !line.onlyLingers) return hold
  try {
    return await line.ask({ ...wish, timeout: moment, ifAvailable: false })
  } catch (error) {
    if ((error as LockError).code === 'timeout') return null
    throw error
  }
}

/** Takes the lock if it is free. A holder that looks dead is observed for up to `timeout` ms, and evicted if it is silent. */
export async function tryOnce(session: Home, line: Line, wish: Wish, timeout: number): Promise<Hold | null> {
  const { clock, settings } = session
  const end = clock.monotonic() + timeout
  let hold = await askNow(line, wish)
  const signs = signsOfLife(line.view)
  const { limit = 1 } = wish
  while (!hold && settings.expiry === 'auto' && looksDead(line.view, clock.now()) && clock.monotonic() < end) {
    const { view, evicting } = await line.looks.look(true)
    if (evicting) await evicting
    if (evicting || view.holders.length < limit) hold = await askNow(line, wish)
    else if ([...signsOfLife(view)].filter((sign) => !signs.has(sign)).length >= limit) return null
    else await line.looks.pause(view, end - clock.monotonic(), wish.signal)
  }
  return hold
}

/** A text for each holder, which changes when it renews, and which no other holder has. */
const signsOfLife = ({ holders, sessions }: LockView): Set<string> => new Set(holders.map((holder) => `${holder.token} ${seqOf(holder, sessions)}`))

/** Whether the wall clock says that a holder is overdue, or shows a time before its last renewal: a reason to look, no more. */
const looksDead = ({ holders, sessions, pins }: LockView, now: number): boolean =>
  !pins.length &&
  holders.some((holder) => {
    const expiry = expiryOf(holder, sessions)
    return !sessions.has(holder.session) || now > expiry || now < expiry - leaseOf(holder, sessions)
  })
