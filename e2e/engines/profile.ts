import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BrowserContext, chromium } from 'playwright-core'
import { launchOptions } from '../browser.ts'

/** A browser context, whose tabs share their storage. */
export interface Shared {
  newPage: BrowserContext['newPage']
  close(): Promise<void>
}

/** Starts a Chromium with these user preferences, in a profile that is deleted when it is closed. */
export async function openProfile(preferences: object): Promise<Shared> {
  const folder = mkdtempSync(join(tmpdir(), 'storelock-profile-'))
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true, maxRetries: 5 })
  try {
    mkdirSync(join(folder, 'Default'))
    writeFileSync(join(folder, 'Default/Preferences'), JSON.stringify(preferences))
    const context = await chromium.launchPersistentContext(folder, await launchOptions())
    return {
      newPage: () => context.newPage(),
      async close() {
        await context.close()
        await remove()
      },
    }
  } catch (error) {
    await remove()
    throw error
  }
}
