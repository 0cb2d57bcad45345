import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { atExit } from './cleanup.ts'

/** Makes a new folder for `use`, and removes it afterwards. */
export async function inFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'storelock-bench-'))
  // A browser or a server that was just stopped may still be writing.
  const remove = atExit(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }))
  try {
    return await use(folder)
  } finally {
    remove()
  }
}
