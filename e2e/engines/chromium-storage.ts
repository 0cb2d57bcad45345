import type { BrowserContext } from 'playwright-core'

/** What the browser itself can do to what an origin has stored. */
export interface StorageDriver {
  /** Closes by force the connections to the origin's databases, as after a disk error: what they have stays. */
  tear(): Promise<boolean>
  /** Deletes all that the origin has stored, as a person can. */
  clear(): Promise<void>
}

/** For how long the browser may take to list what there is, in ms. */
const patience = 2_000

/** Opens a tab of Chromium's own to do it from. */
export async function driveStorage(context: BrowserContext, origin: string): Promise<StorageDriver> {
  const page = await context.newPage()
  await page.goto('chrome://indexeddb-internals')
  const driver = await context.newCDPSession(page)
  return {
    async tear() {
      await page.reload()
      // There is none while the origin has nothing.
      const button = page.locator('.indexeddb-origin', { has: page.locator(`a[href="${origin}"]`) }).locator('.force-close')
      return button.click({ timeout: patience }).then(
        () => true,
        () => false,
      )
    },
    async clear() {
      await driver.send('Storage.clearDataForOrigin', { origin, storageTypes: 'all' })
    },
  }
}
