// What a tab does for the figures of `tabs.ts`.
import { type Kind, peer } from './peers.ts'

/** What `../tabs.ts` calls in each of its tabs. Times in ms, on the page's own clock. */
interface BenchTab {
  /** Takes the lock, and keeps it until `release`. */
  hold(kind: Kind): Promise<void>
  /** Asks for the lock, and lets go a moment after it has it. */
  ask(kind: Kind): void
  /** Resolves when this tab waits for the lock. */
  queued(kind: Kind): Promise<void>
  /** Lets go a moment later, when nothing else is going on. @returns when it did */
  release(): Promise<number>
  /** When what `ask` wanted was there; by now it has been let go of. */
  grantedAt(): Promise<number>
  now(): number
}

declare global {
  var benchTab: BenchTab
}

/** After what came before has had its effects. In ms. */
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
        // What is kept in localStorage comes to others bit by bit: the polyfill, if let go of at once, takes the lock for held ever after.
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
        // To tell of it takes time too.
        setTimeout(() => resolve(at), rest)
      }, rest)
    }),
  grantedAt: () => granted,
  now,
}
