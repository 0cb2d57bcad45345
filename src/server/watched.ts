import { LockError, type LockView } from '../protocol/index.ts'
import type { Store } from '../store.ts'

type Paged = Required<Pick<Store, 'page'>>

interface Watcher {
  /** Called with the code of each failure. */
  failed(code: string): void
  /** Called with each record that the store returns. */
  saw(view: LockView): void
}

/** Wraps a store to watch its failures and its records. */
export function watchStore(store: Store, { failed, saw }: Watcher): Store {
  const watched = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work
    } catch (error) {
      failed(error instanceof LockError ? error.code : 'store')
      throw error
    }
  }
  const seen = async (work: Promise<LockView[]>): Promise<LockView[]> => {
    const views = await watched(work)
    views.forEach(saw)
    return views
  }
  return {
    // Passes on all arguments, also those that are not in the contract of `Store`, but only the methods that the server uses.
    async apply(...asked) {
      const outcomes = await watched(store.apply(...asked))
      for (const outcome of outcomes) {
        if (outcome.type === 'failed') failed(outcome.code)
        if ('record' in outcome) saw(outcome.record)
      }
      return outcomes
    },
    async read(...asked) {
      const view = await watched(store.read(...asked))
      if (view) saw(view)
      return view
    },
    list: (...asked) => seen(store.list(...asked)),
    ...(store.page && { page: (...asked: Parameters<Paged['page']>) => seen((store as Paged).page(...asked)) }),
    channel: store.channel,
    beacon: store.beacon,
    close: () => store.close(),
  }
}
