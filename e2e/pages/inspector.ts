import { createLocks, type HeldLock, type Json, type Locks } from 'storelock'
import { mountInspector, type StorelockInspector } from 'storelock/inspector'
import { indexedDBStore } from 'storelock/stores/indexeddb'

const violations: string[] = []
document.addEventListener('securitypolicyviolation', ({ effectiveDirective, blockedURI }) => violations.push(`${effectiveDirective} ${blockedURI}`))

let locks: Locks
let inspector: StorelockInspector
const held = new Map<string, HeldLock>()
/** The reasons with which other sessions asked for the lock. */
const asked: Json[] = []

/** The text of the panel, as a user sees it. */
const text = (): string => inspector.shadowRoot?.querySelector<HTMLElement>('.panel')?.innerText ?? ''

/** What tests call in the page, as the global `inspected`. */
const exposed = {
  violations,
  asked,
  text,
  /** Makes the page's locks, and mounts the panel. */
  open(label: string, observes = false): void {
    const options = { store: indexedDBStore('inspected'), label, maxBackoff: 50 }
    if (observes) {
      inspector = mountInspector(undefined, { interval: 50 })
      locks = createLocks({ ...options, observe: inspector.observe })
      inspector.locks = locks
    } else {
      locks = createLocks(options)
      inspector = mountInspector(locks, { interval: 50, into: document.body })
    }
  },
  /** Takes a lock, and releases it when another session asks for it. */
  async take(name: string, metadata?: Json): Promise<number> {
    const lock = await locks.acquire(name, {
      ...(metadata !== undefined && { metadata }),
      onReleaseRequested: (ask) => {
        asked.push(ask)
        lock.release()
      },
    })
    held.set(name, lock)
    return lock.token
  },
  /** Starts to wait for a lock. */
  want(name: string): void {
    locks.acquire(name).then(
      (lock) => held.set(name, lock),
      () => {},
    )
  },
  release: async (name: string): Promise<void> => held.get(name)?.release(),
  isHeld: (name: string): boolean => held.get(name)?.isHeld() === true,
  /** Resolves when the panel shows a text, or no longer does. */
  async shows(wanted: string, isThere = true): Promise<void> {
    while (text().includes(wanted) !== isThere) await new Promise(requestAnimationFrame)
  },
  /** The description of the drawings. */
  drawn: (): (string | null)[] => [...(inspector.shadowRoot?.querySelectorAll('svg') ?? [])].map((drawing) => drawing.getAttribute('aria-label')),
  /** The number of elements in the panel with this tag. */
  count: (tag: string): number => inspector.shadowRoot?.querySelectorAll(tag).length ?? 0,
  /** Removes the panel after its next look. @returns whether it looks again within ten intervals */
  async looksOnceRemoved(): Promise<boolean> {
    let looks = 0
    inspector.locks = { query: async () => ({ held: [], pending: [], looks: ++looks }) }
    while (!looks) await new Promise(requestAnimationFrame)
    inspector.remove()
    const before = looks
    await new Promise((resolve) => setTimeout(resolve, 10 * inspector.interval))
    return looks > before
  },
}

declare global {
  var inspected: typeof exposed
}

globalThis.inspected = exposed
