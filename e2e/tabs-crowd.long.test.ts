import { describe, expect, test } from 'vitest'
import { describeEachEngine, eachAfresh } from './engines/each.ts'
import { tabsAtOnce } from './tabs/crowd.ts'

describeEachEngine((engine) => {
  eachAfresh(engine)

  describe('tabs that request one lock at once', () => {
    // Only in Chromium: the other engines open tabs one by one, too slowly for the requests to overlap.
    test('are all served, sixty of them, within three times as long as Web Locks', { timeout: 180_000 }, async () => {
      const { ours, theirs, failures } = await tabsAtOnce(engine(), 60)
      expect(failures).toEqual([])
      if (process.env.FIGURES) console.log(`60 tabs at once: ${Math.round(ours)} ms, by Web Locks ${Math.round(theirs)} ms`)
      expect(ours / theirs).toBeLessThan(3)
    })
  })
})
