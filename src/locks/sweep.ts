import { isIdle, keyPrefix, LockError, type Outcome, type Sweep, storedName } from '../protocol/index.ts'
import type { Store } from '../store.ts'
import type { Session } from './session.ts'
import type { SweepOptions } from './types.ts'

/** How many records are read, and dropped, at once: other calls to the store wait meanwhile. */
const page = 200

/**
 * Drops records of locks that nobody holds, waits for or pins, a page at a time.
 * @param before only records that have not changed since this wall time, in ms
 * @yields the keys of those that were dropped
 */
export async function* sweepRecords(
  store: Pick<Store, 'apply' | 'list' | 'page'>,
  prefix: string,
  before: number,
  mayDrop: (key: string) => boolean = () => true,
): AsyncGenerator<string[]> {
  for (let after: string | undefined; ; ) {
    const views = store.page ? await store.page(prefix, after, page) : await store.list(prefix)
    // Storelock 0.1 did not store the time: such a record is old.
    const old = views.filter((view) => isIdle(view) && (view.changedAt ?? 0) <= before && mayDrop(view.key))
    const commands = old.map(({ key }): Sweep => ({ type: 'sweep', key }))
    const outcomes = commands.length ? await store.apply(commands) : []
    // The record of a lock that was taken meanwhile is kept.
    yield commands.flatMap(({ key }, index) => (isDone(key, outcomes[index]) ? [key] : []))
    if (!store.page || views.length < page) return
    after = views.at(-1)?.key
  }
}

function isDone(key: string, outcome: Outcome | undefined): boolean {
  if (outcome?.type === 'failed') throw new LockError(outcome.code, `${JSON.stringify(key)} could not be swept: ${outcome.message}`)
  return outcome?.type === 'done'
}

/** Drops the idle records of a session's namespace. @returns how many */
export async function dropIdle(session: Session, { olderThan = 0 }: SweepOptions = {}): Promise<number> {
  if (typeof olderThan !== 'number' || !(olderThan >= 0))
    throw new RangeError(`olderThan is a number of milliseconds from 0, not ${String(olderThan)}`)
  session.assertOpen()
  const { store, namespace, clock } = session.settings
  // Locks released before this call must count as idle.
  await session.answered()
  const isOurs = (key: string): boolean => storedName(key).namespace === namespace
  // The limit on the store's time applies to each call, since all of them together may take long.
  const { page } = store
  const patiently: Pick<Store, 'apply' | 'list' | 'page'> = {
    apply: (commands) => session.read((store) => store.apply(commands)),
    list: (prefix) => session.read((store) => store.list(prefix)),
    ...(page && { page: (...part) => session.read(() => page.apply(store, part)) }),
  }
  let dropped = 0
  for await (const keys of sweepRecords(patiently, keyPrefix(namespace), clock.now() - olderThan, isOurs)) {
    session.assertOpen()
    dropped += keys.length
  }
  return dropped
}
