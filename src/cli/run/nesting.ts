import type { HeldLock, Store } from '../../index.ts'
import { Exit, exitCodes } from '../exit.ts'

/** The variable that tells a command all the locks that it runs under. */
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
  // The variable may outlive the lock.
  if (!tokens.length || !(await store.read(key))?.holders.some(({ token }) => tokens.includes(token))) return
  throw new Exit(
    exitCodes.failed,
    `this already runs under \`storelock run ${key}\`, so it would wait for itself: remove the inner run, or use another key`,
  )
}

/** The environment variables for the command of a lock. */
export function environmentOf(lock: HeldLock, identity: string, lockToken: string | undefined): NodeJS.ProcessEnv {
  const held: Above[] = [...locksAbove(), { store: identity, key: lock.key, token: lock.token }]
  return {
    ...process.env,
    STORELOCK_KEY: lock.name,
    STORELOCK_TOKEN: `${lock.token}`,
    ...(lockToken !== undefined && { STORELOCK_LOCK_TOKEN: lockToken }),
    [variable]: JSON.stringify(held),
  }
}
