import { LockError } from '../protocol/index.ts'
import type { Store } from '../store.ts'

type Paged = Required<Pick<Store, 'page'>>

/** A store of which each failure is told of, by its code, and answered as ever. */
export function countFailures(store: Store, failed: (code: string) => void): Store {
  const watched = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work
    } catch (error) {
      failed(error instanceof LockError ? error.code : 'store')
      throw error
    }
  }
  return {
    async apply(commands) {
      const outcomes = await watched(store.apply(commands))
      for (const outcome of outcomes) if (outcome.type === 'failed') failed(outcome.code)
      return outcomes
    },
    read: (key, reader) => watched(store.read(key, reader)),
    list: (prefix, part) => watched(store.list(prefix, part)),
    ...(store.page && { page: (prefix, after, limit) => watched((store as Paged).page(prefix, after, limit)) }),
    channel: store.channel,
    beacon: store.beacon,
    close: () => store.close(),
  }
}
