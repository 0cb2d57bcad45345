import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import lockfile, { type LockOptions } from 'proper-lockfile'
import type { Peer } from './peer.ts'

const peer = (title: string, retries: NonNullable<LockOptions['retries']>, rest: Pick<Peer, 'held' | 'handoffs'>): Peer => ({
  title: `proper-lockfile, ${title}`,
  ...rest,
  async open({ folder }) {
    const file = join(folder, 'lockfile')
    closeSync(openSync(file, 'a'))
    return { acquire: () => lockfile.lock(file, { retries }), close: () => {} }
  },
})

/** Its first pause is 1 s, and each further one is twice as long as the one before. */
export const lockfileDefault = peer('its default retries (10, from 1 s)', 10, { held: [1, 1_000], handoffs: 4 })

export const lockfileTight = peer(
  'retries every 1 ms',
  { retries: 1, forever: true, factor: 1, minTimeout: 1, maxTimeout: 1 },
  { held: [1, 3], handoffs: 50 },
)
