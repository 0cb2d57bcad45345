// What a tab does for the figures of `tabs.ts`.
import { createLocks } from 'storelock'
import { indexedDBStore } from 'storelock/stores/indexeddb'

/** Whose locks are measured. */
export type Kind = 'ours' | 'webLocks'

/** What `../tabs.ts` calls in each of its tabs. Times in ms, on the page's own clock. */
interface BenchTab {
  /** Takes the lock, and keeps it until `release`. */
  hold(kind: Kind): Promise<void>
  /** Asks for the lock, and lets go as soon as it has it. */
  ask(kind: Kind): void
  /** Resolves when this tab waits for the lock. */
  queued(kind: Kind): Promise<void>
  /** Lets go a moment later, when nothing else is going on. @returns when it did */
  release(): Promise<number>
  /** When what `ask` wanted was there. */
  grantedAt(): Promise<number>
  now(): number
}

declare global {
  var benchTab: BenchTab
}

/** After what came before has had its effects. In ms. */
const rest = 30

const name = 'handoff'
const locks = createLocks({ store: indexedDBStore('bench'), duration: 10_000, maxBackoff: 60_000 })
const now = (): number => performance.timeOrigin + performance.now()
const request = (kind: Kind, callback: () => unknown): Promise<unknown> =>
  kind === 'ours' ? locks.request(name, callback) : navigator.locks.request(name, callback)
const pending = async (kind: Kind): Promise<boolean> => {
  const { pending } = kind === 'ours' ? await locks.query(name) : await navigator.locks.query()
  return !!pending?.some((lock) => lock.name === name)
}

let letGo: () => void
let granted: Promise<number>

globalThis.benchTab = {
  hold: (kind) =>
    new Promise((held) => {
      request(
        kind,
        () =>
          new Promise<void>((resolve) => {
            letGo = resolve
            held()
          }),
      )
    }),
  ask(kind) {
    granted = new Promise((resolve) => {
      request(kind, () => resolve(now()))
    })
  },
  async queued(kind) {
    while (!(await pending(kind)));
  },
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
