import { isIP } from 'node:net'
import type { Store } from '../store.ts'
import type { Journal } from './journal.ts'
import type { Log } from './log.ts'

/** The paths that operators' probes use without a credential. */
export const probePaths: ReadonlySet<string> = new Set(['/livez', '/readyz', '/version', '/healthz'])

/** Whether a `Host` is an IP address, which no page can have chosen as its own name. */
export const isAddress = (host: string): boolean => isIP(host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')) > 0

/** How long the store may take to answer before the server counts as not ready, in ms. */
const patience = 5_000

/** A session that does not exist: commands on it change nothing. */
const nobody = { type: 'end', session: 'storelock-probe', seq: -1 } as const

/** How long a successful write counts, in ms: probes need no credential, so any number of them may come. */
const writtenFor = 1_000

/** Finds out whether locks can be granted: whether the store can be read, and the journal written. Callers during one check share its result. */
export function makeReadiness(store: Store, log: Pick<Log, 'fault'>, journal: Pick<Journal, 'touch'>): () => Promise<string | undefined> {
  let looking: Promise<string | undefined> | undefined
  let written = -Infinity

  const touch = async (): Promise<string | undefined> => {
    try {
      const [outcome] = await store.apply([nobody])
      if (outcome?.type === 'failed') return outcome.message
      // A read also shows whether the database still has the same files.
      await store.read(nobody.session)
      if (log.fault) return log.fault.message
      if (performance.now() - written < writtenFor) return undefined
      await journal.touch()
      written = performance.now()
      return undefined
    } catch (error) {
      return (error as Error).message
    }
  }

  const look = async (): Promise<string | undefined> => {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<string>((resolve) => {
      timer = setTimeout(resolve, patience, `the store did not answer within ${patience} ms`)
    })
    try {
      return await Promise.race([touch(), late])
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
