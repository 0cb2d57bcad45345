import type { HeldLock, Locks } from 'storelock'

/**
 * Works in one tab at a time, until `signal` aborts. Visible tabs come first: a hidden leader hands over as soon as one waits.
 * @param work is called when this tab becomes the leader, and has to end when the signal that it gets aborts
 */
export async function lead(locks: Locks, name: string, work: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await becomes('visible', signal)
    const lock = await acquireWhileVisible(locks, name, signal)
    if (!lock) continue
    try {
      await work(AbortSignal.any([signal, lock.signal]))
    } finally {
      await lock.release()
    }
  }
}

/** Gives up, with `undefined`, if the tab is hidden before it has the lock: a tab behind it in the queue may be visible. */
async function acquireWhileVisible(locks: Locks, name: string, signal: AbortSignal): Promise<HeldLock | undefined> {
  let lock: HeldLock | undefined
  const yieldIfHidden = async (): Promise<void> => {
    // Only visible tabs wait. If there is none, a hidden leader goes on.
    if (lock && document.hidden && (await locks.query(name)).pending.length > 0) await lock.release()
  }
  const settled = new AbortController()
  const hidden = new AbortController()
  becomes('hidden', AbortSignal.any([signal, settled.signal])).then(() => hidden.abort())
  try {
    // The ask reaches a leader that is already hidden. A leader that is hidden later looks at the queue by itself.
    const ask = { ask: 'a visible tab waits', onReleaseRequested: yieldIfHidden }
    lock = await locks.acquire(name, { ...ask, signal: AbortSignal.any([signal, hidden.signal]) })
  } catch (error) {
    if (signal.aborted || hidden.signal.aborted) return undefined
    throw error
  } finally {
    settled.abort()
  }
  document.addEventListener('visibilitychange', yieldIfHidden, { signal: lock.signal })
  // This tab may have been hidden or asked at the moment of the grant.
  await yieldIfHidden()
  return lock
}

/** Resolves when the page is visible, or hidden, or when the signal aborts. */
async function becomes(state: DocumentVisibilityState, signal: AbortSignal): Promise<void> {
  while (document.visibilityState !== state && !signal.aborted) {
    await new Promise((resolve) => {
      document.addEventListener('visibilitychange', resolve, { once: true, signal })
      signal.addEventListener('abort', resolve, { once: true })
    })
  }
}
