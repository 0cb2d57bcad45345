import type { Tab } from '../engines/engine.ts'

/**
 * A page navigates elsewhere. Resolves when it has handled that: Chromium sends `pagehide` after the next page has come, and whoever requests a
 * native lock that the page holds until then drops it from the back/forward cache.
 * @param witness another page of the same origin
 */
export async function leave(page: Tab, witness: Tab): Promise<void> {
  await page.evaluate(() => {
    localStorage.removeItem('left')
    addEventListener('pagehide', () => localStorage.setItem('left', 'yes'))
  })
  await page.navigate('about:blank')
  await witness.evaluate(async () => {
    while (localStorage.getItem('left') === null) await new Promise((resolve) => setTimeout(resolve, 1))
  })
}

/**
 * Tries, with new pages each time, until the engine has kept one in its back/forward cache: it may drop a page at any moment, for reasons of its own.
 * Fails if it keeps none of five.
 * @param attempt resolves with `undefined` if the page was not kept
 */
export async function untilKept<T>(attempt: () => Promise<T | undefined>): Promise<T> {
  for (let tries = 0; tries < 5; tries++) {
    const kept = await attempt()
    if (kept) return kept
  }
  throw new Error('the engine kept none of five pages')
}
