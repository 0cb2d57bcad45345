import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BrowserContext, chromium } from 'playwright-core'
import { launchOptions } from '../browser.ts'

/** The tabs that share what they store. */
export interface Shared {
  newPage: BrowserContext['newPage']
  close(): Promise<void>
}

/** Starts a Chromium of a person with these preferences, of which nothing is left when it is closed. */
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
