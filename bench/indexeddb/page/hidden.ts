// The script of a tab for the figures of `hidden.ts`.
import { type Clock, createLocks, type HeldLock } from 'storelock'
import { indexedDBStore } from 'storelock/stores/indexeddb'

/** What has happened to one lock since {@link HiddenTab.hold}. */
export interface Fate {
  readonly losses: number
  readonly beats: number
  /** The longest pause between two beats, in ms. */
  readonly longestPause: number
}

/** What `../hidden.ts` calls in its tab. */
interface HiddenTab {
  /** Holds one lock as usual and another with plain timers, each with the default duration. Takes a lost lock again. */
  hold(): Promise<void>
  fates(): Readonly<Record<'ours' | 'plain', Fate>>
}

declare global {
  var hiddenTab: HiddenTab
}

const plainClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  random: () => Math.random(),
  after(ms, run) {
    const timer = setTimeout(run, Math.ceil(ms))
    return () => clearTimeout(timer)
  },
}

const keepers = { ours: keeper('ours'), plain: keeper('plain', plainClock) }

globalThis.hiddenTab = {
  async hold() {
    await Promise.all([keepers.ours.hold(), keepers.plain.hold()])
  },
  fates: () => ({ ours: keepers.ours.fate(), plain: keepers.plain.fate() }),
}

function keeper(name: string, clock?: Clock) {
  const store = indexedDBStore('bench')
  let [losses, beats, longestPause, last] = [0, 0, 0, 0]
  const beat = (): void => {
    const now = performance.now()
    beats += 1
    longestPause = Math.max(longestPause, now - last)
    last = now
  }
  const { apply } = store
  store.apply = (commands) => {
    if (commands.some(({ type }) => type === 'beat')) beat()
    return apply(commands)
  }
  const locks = createLocks({ store, ...(clock && { clock }) })
  let lock: HeldLock
  const take = async (): Promise<void> => {
    lock = await locks.acquire(name)
    lock.signal.addEventListener('abort', () => {
      losses += 1
      take()
    })
  }
  return {
    async hold() {
      await take()
      ;[beats, longestPause, last] = [0, 0, performance.now()]
    },
    fate(): Fate {
      const now = performance.now()
      // A lock may be lost without a timer having fired to report it.
      const unsaid = !lock.isHeld() && losses === 0 ? 1 : 0
      return { losses: losses + unsaid, beats, longestPause: Math.max(longestPause, now - last) }
    },
  }
}
