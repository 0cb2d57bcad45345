// The script of a tab for the figures of `tabs.ts`.
import { type Kind, peer } from './peers.ts'

/** What `../tabs.ts` calls in each of its tabs. Times in ms, on the page's own clock. */
interface BenchTab {
  /** Takes the lock and keeps it until `release`. */
  hold(kind: Kind): Promise<void>
  /** Requests the lock, and releases it a moment after the grant. */
  ask(kind: Kind): void
  /** Resolves when this tab waits for the lock. */
  queued(kind: Kind): Promise<void>
  /** Releases the lock a moment later, when nothing else is going on. @returns the time of the release */
  release(): Promise<number>
  /** The time at which `ask` got the lock. Resolves when it has been released again. */
  grantedAt(): Promise<number>
  now(): number
}

declare global {
  var benchTab: BenchTab
}

/** The time that earlier steps need to take effect, in ms. */
const rest = 30

const now = (): number => performance.timeOrigin + performance.now()

let letGo: () => unknown
let granted: Promise<number>

globalThis.benchTab = {
  async hold(kind) {
    letGo = await peer(kind).acquire()
  },
  ask(kind) {
    granted = peer(kind)
      .acquire()
      .then(async (release) => {
        const at = now()
        // Other tabs see changes in localStorage one by one. If the lock is released at once, the polyfill considers it held for ever.
        await new Promise((resolve) => setTimeout(resolve, rest))
        await release()
        return at
      })
  },
  queued: (kind) => peer(kind).queued(),
  release: () =>
    new Promise((resolve) => {
      setTimeout(() => {
        const at = now()
        letGo()
        // Answers only later, since that takes CPU time too.
        setTimeout(() => resolve(at), rest)
      }, rest)
    }),
  grantedAt: () => granted,
  now,
}
