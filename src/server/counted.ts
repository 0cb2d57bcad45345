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
    // Whatever is asked goes on as it is, also what a later contract adds.
    async apply(...asked) {
      const outcomes = await watched(store.apply(...asked))
      for (const outcome of outcomes) if (outcome.type === 'failed') failed(outcome.code)
      return outcomes
    },
    read: (...asked) => watched(store.read(...asked)),
    list: (...asked) => watched(store.list(...asked)),
    ...(store.page && { page: (...asked: Parameters<Paged['page']>) => watched((store as Paged).page(...asked)) }),
    channel: store.channel,
    beacon: store.beacon,
    close: () => store.close(),
  }
}
