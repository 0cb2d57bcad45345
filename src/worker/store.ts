import type { Command } from '../protocol/index.ts'
import { type Beacon, type Store, storeWith } from '../store.ts'

/** What a client's store needs to know about the page. */
export interface Page {
  /** For how long the page has owed an answer, in ms, if that is too long. */
  silence(): number | undefined
  /** The page's session or one of its locks was renewed. */
  renewed(): void
  readonly beacon: Beacon | undefined
}

const renews = ({ type }: Command): boolean => type === 'beat' || type === 'renew'

/** The worker's store for a page's session: it renews nothing for a silent page, and its beacon is the page's. */
export const storeFor = (store: Store, page: Page): Store =>
  storeWith(store, {
    async apply(commands) {
      const silence = commands.some(renews) ? page.silence() : undefined
      const sent = silence === undefined ? commands : commands.filter((command) => !renews(command))
      const outcomes = sent.length ? await store.apply(sent) : []
      if (sent.some(renews)) page.renewed()
      if (sent === commands) return outcomes
      const answers = outcomes.values()
      return commands.map((command) =>
        renews(command)
          ? { type: 'failed', code: 'store', message: `not renewed: the page has not answered its worker for ${silence} ms` }
          : (answers.next().value as (typeof outcomes)[number]),
      )
    },
    beacon: page.beacon,
    // The worker closes the store.
    async close() {},
  })
