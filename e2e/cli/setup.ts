import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest'
import { type Built, buildProgram } from './build.ts'
import { killAll } from './program.ts'

export interface Place {
  /** The path of the script that Node runs. */
  readonly main: string
  /** The path of the program that users call. */
  readonly program: string
  /** The current test's own folder. */
  readonly folder: string
}

/** Builds the command line once per test file. Each test has its own folder, and all programs that it started are killed after it. */
export function withProgram(): Place {
  let built: Built
  let folder: string
  beforeAll(async () => {
    built = await buildProgram()
  })
  afterAll(() => built?.remove())
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'storelock-'))
  })
  afterEach(async () => {
    killAll()
    await rm(folder, { recursive: true, force: true })
  })
  return {
    get main() {
      return built.main
    },
    get program() {
      return built.program
    },
    get folder() {
      return folder
    },
  }
}
