import type { Store } from '../store.ts'
import { evidence } from './facts/evidence.ts'
import { fence } from './facts/fence.ts'
import { keeping } from './facts/keeping.ts'
import { rules } from './facts/rules.ts'
import { sharing } from './facts/sharing.ts'
import type { StorePlace } from './place.ts'

/** One thing that every store must do. `run` rejects if the tested store does not do it. */
export interface StoreFact {
  readonly name: string
  run(): Promise<void>
}

/**
 * The contract of `Store`, as facts that run in any test runner, or without one.
 *
 * @param makePlace makes a new, empty place for each fact
 * @example for (const { name, run } of storeSuite(() => ({ open: () => myStore() }))) test(name, run)
 */
export function storeSuite(makePlace: () => StorePlace | Promise<StorePlace>): StoreFact[] {
  return Object.entries({ ...rules, ...evidence, ...keeping, ...sharing, ...fence }).map(([name, check]) => ({
    name,
    async run() {
      const place = await makePlace()
      const opened: Store[] = []
      const open = async (): Promise<Store> => {
        const store = await place.open()
        opened.push(store)
        return store
      }
      try {
        await check(await open(), { place, open })
      } finally {
        for (const store of opened) await store.close()
        await place.remove?.()
      }
    },
  }))
}
