import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { bundleProgram } from '../../build.ts'
import { root } from '../../test/house/installed.ts'

export interface Built {
  /** The path of the script that Node runs. */
  readonly main: string
  /** The path of the program that users call: a shell script that starts node. */
  readonly program: string
  remove(): void
}

/** Builds the command line as users get it. Takes a second. */
export async function buildProgram(): Promise<Built> {
  mkdirSync(join(root, 'out'), { recursive: true })
  // Inside the repository, where Node finds the packages.
  const folder = mkdtempSync(join(root, 'out', 'cli-'))
  // Some tests run the program as another user.
  chmodSync(folder, 0o755)
  return { ...(await bundleProgram(folder)), remove: () => rmSync(folder, { recursive: true, force: true }) }
}
