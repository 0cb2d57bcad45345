import type { SessionRow } from '../protocol/index.ts'
import type { Home } from './home.ts'

/** How many rows a store returns at a time; if there are fewer, there are no more. */
const page = 16
/** When to go on after the first page, in ms: processes that are starting, perhaps many at once, have other things to do. */
const later = { least: 1_000, spread: 1_000 }
/** The pause between two pages, in ms. */
const rest = 10

/**
 * Ends sessions that died without ending themselves, when a new session opens: in the background, a page of rows at a time, each in one batch, so
 * that no other call is held up. The first page comes at once, so that a short-lived process leaves no more rows than it found. It goes on as long as
 * each page has a dead session, since each page costs a write. Each session begins at its own random id, so that all together see every row.
 *
 * @param first the rows that follow its own
 * @param next returns the rows that follow another id
 */
export async function endLeftovers(
  session: Home,
  first: readonly SessionRow[],
  next: (after: string) => Promise<readonly SessionRow[]>,
): Promise<void> {
  const { clock, id, settings } = session
  if (settings.expiry !== 'auto' || !settings.store.beacon?.isOut) return
  if (!first.length || !(await session.ending.pause(0))) return
  for (let rows = first; ; ) {
    const dead = [...(await session.dead(rows))]
    await Promise.all(dead.map((each) => session.send({ type: 'end', session: each })))
    const last = rows.at(-1)
    // If this page has its own row, it has seen all rows.
    if (!last || !dead.length || rows.length < page || rows.some((row) => row.id === id)) return
    if (!(await session.ending.pause(rows === first ? later.least + clock.random() * later.spread : rest))) return
    rows = await next(last.id)
  }
}
