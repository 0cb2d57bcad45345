import type { Tab } from '../engines/engine.ts'

/**
 * Navigates a page elsewhere. Resolves when the page has handled `pagehide`: Chromium sends it after the next page has come, and a request
 * for a native lock that the page still holds then would drop the page from the back/forward cache.
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
 * Tries with new pages until the engine has kept one in its back/forward cache: it may drop a page at any moment for its own reasons.
 * Fails after five tries.
 * @param attempt resolves with `undefined` if the page was not kept
 */
export async function untilKept<T>(attempt: () => Promise<T | undefined>): Promise<T> {
  for (let tries = 0; tries < 5; tries++) {
    const kept = await attempt()
    if (kept) return kept
  }
  throw new Error('the engine kept none of five pages')
}
