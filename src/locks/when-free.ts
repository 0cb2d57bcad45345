import type { Line } from './line.ts'
import type { Session } from './session.ts'
import { Watch } from './watch.ts'

/**
 * Resolves when nobody holds the lock, as a look at the store shows. Whoever holds it is asked to say when it is free, and what tells
 * waiters of a holder's death tells this too; it has no place in the queue and writes nothing but what evicts the silent.
 */
export async function whenFree(session: Session, line: Line, signal: AbortSignal | undefined): Promise<void> {
  const { store, expiry, maxBackoff } = session.settings
  const dead = new Set<string>()
  const watch = new Watch(store.beacon, (died) => {
    dead.add(died)
    line.looks.poke()
  })
  /** Where this session is told, and by the tokens of which holders. */
  let topic = ''
  let asked = new Set<number>()
  let stop = (): void => {}
  await session.answered()
  await line.leases.dropIdle()
  try {
    for (;;) {
      signal?.throwIfAborted()
      session.assertOpen()
      const { pokes } = line.looks
      const { view, evicting } = await line.looks.look(expiry === 'auto')
      const evictable = expiry === 'auto' && !view.pins.length
      const holders = view.holders.filter(({ session }) => !(evictable && dead.has(session)))
      if (!holders.length) return
      // A page that is left with a watch, or a channel, does not come back as it was: what it hears and watches begins when it is awake.
      if (!session.isAsleep) {
        if (evictable) watch.keep(new Map(holders.map(({ session }) => [session, view.sessions.get(session)?.beacon])))
        // Of the key's own name, as far as a server looks to tell who may hear it.
        const present = `${line.key.slice(0, 256)} ${session.id}`
        if (present !== topic) {
          stop()
          const stops = [session.hear(present, () => line.looks.poke()), session.atEnd(() => watch.keep(new Map()))]
          stop = () => {
            for (const each of stops) each()
          }
          topic = present
          asked.clear()
        }
        session.askWhenFree(
          line.key,
          holders.filter(({ token }) => !asked.has(token)),
          topic,
        )
        asked = new Set(holders.map(({ token }) => token))
      }
      if (evicting) await evicting
      // An answer may have been lost, so each is asked again with the next look that comes by itself.
      else if (!(await line.looks.pause(view, maxBackoff, signal, pokes))) asked.clear()
    }
  } finally {
    stop()
    watch.keep(new Map())
  }
}
