import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { LockError } from '../protocol/index.ts'
import type { Journal, RunningServer } from './journal.ts'
import type { KeyRing } from './tokens.ts'

/** How often a server shows that it runs, in ms. */
const every = 15_000

/**
 * Compares this server's keys with those of the other servers on the same store: a client may send a lockToken of one server to any other.
 * @param failed called with the errors found later, for example after keys were changed
 * @throws LockError `invalid` if another server signs with a key that this one does not have, or the other way round
 */
export async function watchRings(
  journal: Journal,
  ring: KeyRing,
  failed: (error: unknown) => void,
): Promise<{ look(): Promise<void>; close(): Promise<void> }> {
  const id = randomBytes(9).toString('base64url')
  const name = `${hostname()}, process ${process.pid}`
  let told = ''

  const mismatch = async (): Promise<string | undefined> => {
    const prints = ring.prints()
    const own: RunningServer = { id, name, signs: prints[0] as string, knows: prints }
    for (const other of (await journal.meet?.(own)) ?? []) {
      if (!own.knows.includes(other.signs))
        return `another lock server on this store (${other.name}) signs lockTokens with a key that this one does not have: give all servers the same secret, or add the key that the other one signs with to this one’s`
      if (!other.knows.includes(own.signs))
        return `another lock server on this store (${other.name}) does not have the key that this one signs lockTokens with: add a new key to all servers before the first one signs with it`
    }
    return undefined
  }

  let looking: Promise<void> = Promise.resolve()
  /** Compares one at a time, so that the last comparison shows the current keys. */
  const look = (): Promise<void> => {
    looking = looking.catch(() => {}).then(lookOnce)
    return looking
  }

  const lookOnce = async (): Promise<void> => {
    const why = (await mismatch()) ?? ''
    if (why && why !== told) failed(new LockError('invalid', why))
    told = why
  }

  const why = await mismatch()
  if (why) {
    await journal.leave?.(id)
    throw new LockError('invalid', why)
  }
  const timer = journal.meet && setInterval(() => look().catch(failed), every)
  timer?.unref()
  return {
    look,
    async close() {
      clearInterval(timer)
      await looking.catch(() => {})
      await journal.leave?.(id).catch(() => {})
    },
  }
}
