import type { SessionRow } from '../protocol/index.ts'
import type { Home } from './home.ts'

/** So many rows a store shows at a time; fewer are all that there are. */
const page = 16
/** When to go on after the first page, in ms: a process that starts, and many that start at once, have other things to do. */
const later = { least: 1_000, spread: 1_000 }
/** The pause between two pages, in ms. */
const rest = 10

/**
 * Ends the sessions that died without saying so, as one that opens meets them: in the background, a page at a time, each in one batch,
 * so that nobody is held up. Some at once, since a process that lives for a moment is to leave no more than it found. Each begins at its
 * own id, which is random, so that those who open meet different ones.
 *
 * @param first the rows that follow its own
 * @param next those that follow another
 */
export async function endLeftovers(
  session: Home,
  first: readonly SessionRow[],
  next: (after: string) => Promise<readonly SessionRow[]>,
): Promise<void> {
  const { clock, id, settings } = session
  if (settings.expiry !== 'auto' || !settings.store.beacon?.isOut) return
  if (!first.length || !(await session.pause(0))) return
  for (let rows = first; ; ) {
    const dead = await session.dead(rows)
    await Promise.all(Array.from(dead, (each) => session.send({ type: 'end', session: each })))
    const last = rows.at(-1)
    // It has come round when it meets itself.
    if (!last || rows.length < page || rows.some((row) => row.id === id)) return
    if (!(await session.pause(rows === first ? later.least + clock.random() * later.spread : rest))) return
    rows = await next(last.id)
  }
}
