import type { LockError } from '../protocol/index.ts'
import { leaseFor } from './core/grant.ts'
import { Outage } from './core/outage.ts'
import type { Line } from './line.ts'
import type { Session } from './session.ts'
import { Watch } from './watch.ts'

/**
 * Resolves when a look at the store shows that nobody holds the lock. The holders are asked to send a hint when it is free, and a holder's death is
 * noticed as soon as by a waiter. The call takes no place in the queue, and writes only to evict silent holders. Once it waits, it bears a store that
 * fails as long as waiters do.
 */
export async function untilFree(session: Session, line: Line, signal: AbortSignal | undefined): Promise<void> {
  const { store, expiry, maxBackoff, clock, duration } = session.settings
  const dead = new Set<string>()
  const watch = new Watch(store.beacon, (died) => {
    dead.add(died)
    line.looks.poke()
  })
  /** The topic on which this session gets that hint, and the tokens of the holders that were asked. */
  let topic = ''
  let asked = new Set<number>()
  let stop = (): void => {}
  /** Whether it has looked. A call whose first look fails rejects at once, since it does not wait yet. */
  let looked = false
  const outage = new Outage()
  /** Looks once, and then waits for a reason to look again. @returns whether nobody holds the lock */
  const look = async (): Promise<boolean> => {
    const { pokes } = line.looks
    const { view, evicting } = await line.looks.look(expiry === 'auto')
    looked = true
    outage.end()
    const evictable = expiry === 'auto' && !view.pins.length
    const holders = view.holders.filter(({ session }) => !(evictable && dead.has(session)))
    if (!holders.length) return true
    // An open watch or channel would keep a page out of the back/forward cache, so neither is opened until the page is awake.
    if (!session.isAsleep) {
      if (evictable) watch.keep(new Map(holders.map(({ session }) => [session, view.sessions.get(session)?.beacon])))
      // The topic begins with the key, which a server checks to decide who may use it.
      const present = `${line.key.slice(0, 256)} ${session.id}`
      if (present !== topic) {
        stop()
        const stops = [session.hints.hear(present, () => line.looks.poke()), session.ending.also(() => watch.keep(new Map()))]
        stop = () => {
          for (const each of stops) each()
        }
        topic = present
        asked.clear()
      }
      session.hints.askWhenFree(
        line.key,
        holders.filter(({ token }) => !asked.has(token)),
        topic,
      )
      asked = new Set(holders.map(({ token }) => token))
    }
    if (evicting) await evicting
    // An answer may have been lost, so each holder is asked again with the next regular look.
    else if (!(await line.looks.pause(view, maxBackoff, signal, pokes))) asked.clear()
    return false
  }
  await session.answered()
  await line.leases.dropIdle()
  try {
    for (;;) {
      signal?.throwIfAborted()
      session.assertOpen()
      try {
        if (await look()) return
      } catch (error) {
        if (!looked || !outage.bears(error as LockError, leaseFor(duration), clock.monotonic())) throw error
        await line.looks.pause(line.view, maxBackoff, signal)
      }
    }
  } finally {
    stop()
    watch.keep(new Map())
  }
}
