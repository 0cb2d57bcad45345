interface Party {
  readonly session: string
  readonly label?: string | null | undefined
}

/** A lock as one look showed it: its holders, its waiters and its pins. */
interface Standing {
  readonly holders: readonly (Party & { readonly token: number })[]
  readonly queue: readonly Party[]
  readonly pins?: readonly string[]
}

/** A change of a lock between two looks. Changes in between that cancel out are not seen. */
export interface Change {
  /** Wall time in ms since 1970. */
  readonly at: number
  readonly event: 'held' | 'released' | 'waits' | 'stopped waiting' | 'pinned' | 'unpinned'
  readonly key: string
  /** The holder or waiter, or the entity that pinned it. */
  readonly who: string
  readonly session?: string
  readonly token?: number
}

/** How the panel names a session. */
export const nameOf = ({ session, label }: Party): string => label ?? `session ${session}`

type Keyed<T> = ReadonlyMap<string, T>

/** The changes from one look to the next. */
export function changesBetween(before: Keyed<Standing>, after: Keyed<Standing>, at: number = Date.now()): Change[] {
  return [...new Set([...before.keys(), ...after.keys()])].sort().flatMap((key) => {
    const [was, is] = [partsOf(before.get(key)), partsOf(after.get(key))]
    const held = ({ session, token, label }: Standing['holders'][number]) => ({ at, key, who: nameOf({ session, label }), session, token })
    return [
      ...gone(was.holders, is.holders).map((holder): Change => ({ ...held(holder), event: 'released' })),
      ...gone(is.holders, was.holders).map((holder): Change => ({ ...held(holder), event: 'held' })),
      // A waiter that now holds the lock appears under 'held', not under 'stopped waiting'.
      ...gone(was.waiters, is.waiters)
        .filter(({ session }) => !holds(is, session))
        .map(({ session, who }): Change => ({ at, key, who, session, event: 'stopped waiting' })),
      ...gone(is.waiters, was.waiters).map(({ session, who }): Change => ({ at, key, who, session, event: 'waits' })),
      ...gone(was.pins, is.pins).map((who): Change => ({ at, key, who, event: 'unpinned' })),
      ...gone(is.pins, was.pins).map((who): Change => ({ at, key, who, event: 'pinned' })),
    ]
  })
}

/** The holders, waiters and pins, each by its identity. */
function partsOf(standing: Standing | undefined) {
  const { holders = [], queue = [], pins = [] } = standing ?? {}
  return {
    holders: new Map(holders.map((holder) => [`${holder.session} ${holder.token}`, holder])),
    waiters: new Map(queue.map((waiter) => [waiter.session, { session: waiter.session, who: nameOf(waiter) }])),
    pins: new Map(pins.map((entity) => [entity, entity])),
  }
}

const gone = <T>(from: Keyed<T>, to: Keyed<T>): T[] => [...from].flatMap(([id, part]) => (to.has(id) ? [] : [part]))

const holds = ({ holders }: ReturnType<typeof partsOf>, wanted: string): boolean => [...holders.values()].some(({ session }) => session === wanted)
