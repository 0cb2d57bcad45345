import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/** By how many bytes the heap grows when one session uses 20,000 names. Measured in a new process, with nothing else on its heap. */
export async function heapAfterNames(kind: 'memory' | 'sqlite' | 'http'): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'storelock-'))
  try {
    const args = ['--expose-gc', '--import', 'tsx', fileURLToPath(new URL('heap.ts', import.meta.url)), kind, folder]
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 190_000 })
    return Number.parseInt(stdout, 10)
  } finally {
    rmSync(folder, { recursive: true })
  }
}
