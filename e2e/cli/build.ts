import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { bundleProgram } from '../../build.ts'
import { root } from '../../test/house/installed.ts'

export interface Built {
  /** The path of the program for Node. */
  readonly main: string
  /** The path of the program that users call: a script of the shell, which starts node. */
  readonly program: string
  remove(): void
}

/** The command line as users get it, in a second. */
export function buildProgram(): Built {
  mkdirSync(join(root, 'out'), { recursive: true })
  // In the repository, where packages are found.
  const folder = mkdtempSync(join(root, 'out', 'cli-'))
  // Other users run it too.
  chmodSync(folder, 0o755)
  bundleProgram(folder)
  return { main: join(folder, 'main.js'), program: join(folder, 'storelock.js'), remove: () => rmSync(folder, { recursive: true, force: true }) }
}
