import type { HeldLock, Store } from '../../index.ts'
import { Exit, exitCodes } from '../exit.ts'

/** The variable with all locks that a command runs under. */
const variable = 'STORELOCK_HELD'

interface Above {
  /** The store, by {@link identityOf}. */
  readonly store: string
  readonly key: string
  readonly token: number
}

function locksAbove(): Above[] {
  try {
    return JSON.parse(process.env[variable] ?? '[]')
  } catch {
    return []
  }
}

/**
 * Refuses to wait for a lock that this process itself runs under: the wait would never end.
 * @throws Exit
 */
export async function assertNotAbove(store: Store, identity: string, key: string): Promise<void> {
  const tokens = locksAbove().flatMap((above) => (above.store === identity && above.key === key ? [above.token] : []))
  // The variable may outlive the lock, so the store is asked.
  if (!tokens.length || !(await store.read(key))?.holders.some(({ token }) => tokens.includes(token))) return
  throw new Exit(
    exitCodes.failed,
    `this already runs under \`storelock run ${key}\`, so it would wait for itself: remove the inner run, or use another key`,
  )
}

/** The environment variables that tell a command which lock it runs under. None has line breaks. */
export function variablesOf(lock: HeldLock, identity: string, lockToken: string | undefined): Readonly<Record<string, string>> {
  const held: Above[] = [...locksAbove(), { store: identity, key: lock.key, token: lock.token }]
  return {
    STORELOCK_TOKEN: `${lock.token}`,
    ...(lockToken !== undefined && { STORELOCK_LOCK_TOKEN: lockToken }),
    [variable]: JSON.stringify(held),
  }
}
