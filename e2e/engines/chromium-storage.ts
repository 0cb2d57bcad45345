import type { BrowserContext } from 'playwright-core'

/** What the browser itself can do to the storage of an origin. */
export interface StorageDriver {
  /** Forcibly closes the connections to the origin's databases, as after a disk error. The data stays. */
  tear(): Promise<boolean>
  /** Deletes all data of the origin, as a user can. */
  clear(): Promise<void>
}

/** How long the browser may take to list the databases, in ms. */
const patience = 2_000

/** Opens one of Chromium's internal pages to do so from. */
export async function driveStorage(context: BrowserContext, origin: string): Promise<StorageDriver> {
  const page = await context.newPage()
  await page.goto('chrome://indexeddb-internals')
  const driver = await context.newCDPSession(page)
  return {
    async tear() {
      await page.reload()
      // There is no button while the origin has no database.
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
