import { isIP } from 'node:net'
import type { Store } from '../store.ts'

/** The paths that operators' probes use without a credential. */
export const probePaths: ReadonlySet<string> = new Set(['/livez', '/readyz', '/version', '/healthz'])

/** Whether a `Host` is an IP address, which no page can have chosen as its own name. */
export const isAddress = (host: string): boolean => isIP(host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')) > 0

/** How long the store may take to answer before the server counts as not ready, in ms. */
const patience = 5_000

/** A session that does not exist: commands on it change nothing. */
const nobody = { type: 'end', session: 'storelock-probe', seq: -1 } as const

/** Finds out whether the store can be read and written. Callers during one check share its result. */
export function makeReadiness(store: Store): () => Promise<string | undefined> {
  let looking: Promise<string | undefined> | undefined

  const look = async (): Promise<string | undefined> => {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<string>((resolve) => {
      timer = setTimeout(resolve, patience, `the store did not answer within ${patience} ms`)
    })
    try {
      return await Promise.race([touch(store), late])
    } finally {
      clearTimeout(timer)
      looking = undefined
    }
  }

  return () => {
    looking ??= look()
    return looking
  }
}

async function touch(store: Store): Promise<string | undefined> {
  try {
    const [outcome] = await store.apply([nobody])
    return outcome?.type === 'failed' ? outcome.message : undefined
  } catch (error) {
    return (error as Error).message
  }
}
