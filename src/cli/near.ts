import type { Store } from '../index.ts'
import { Exit, exitCodes } from './exit.ts'
import { withLook } from './look.ts'
import { keyOf } from './store.ts'

/** The most letters by which a suggested name may differ. */
const most = 2

/** Checks that a lock is held. @throws Exit if it is not, with the names of locks that are spelt alike */
export async function assertSomeoneHolds(place: string, title: string): Promise<void> {
  await withLook(place, async (look) => {
    const view = await look.read(keyOf(title))
    // A session that has ended holds nothing.
    if (view?.holders.some(({ session }) => view.sessions.has(session))) return
    throw new Exit(exitCodes.no, view ? `nobody holds ${title}` : await unknown(look, title))
  })
}

async function unknown(look: Pick<Store, 'list'>, title: string): Promise<string> {
  const known = (await look.list('', { busy: true })).map(({ key }) => key)
  const near = known.filter((key) => distance(key, keyOf(title)) <= Math.min(most, Math.floor(title.length / 2)))
  const meant = near.length ? `: is it ${near.slice(0, 3).join(' or ')}?` : ''
  return `nobody holds ${title}, and there was no such lock yet${meant}`
}

/** The edit distance: how many letters have to be added, removed, changed or swapped with a neighbour to turn one text into the other. */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > most) return Infinity
  let [before, last] = [[] as number[], Array.from({ length: b.length + 1 }, (_, index) => index)]
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = (last[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)
      row[j] = Math.min(change, (last[j] as number) + 1, (row[j - 1] as number) + 1)
      if (a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) row[j] = Math.min(row[j] as number, (before[j - 2] as number) + 1)
    }
    ;[before, last] = [last, row]
  }
  return last[b.length] as number
}
