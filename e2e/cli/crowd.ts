// Many runs at once on one lock, beside flock: `npx tsx e2e/cli/crowd.ts [runs]`.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildProgram } from './build.ts'
import { killAll, Program } from './program.ts'

export interface Crowd {
  /** The exit codes other than 0, each with what was said. */
  readonly failures: readonly string[]
  /** Until the last one had ended, in ms. */
  readonly took: number
}

/** What each of them does while it has the lock: as much as a small script. */
const job = [process.execPath, '-e', '0']

/** Starts a command so many times at once, and waits until all have ended. */
export async function startAtOnce(count: number, command: readonly string[]): Promise<Crowd> {
  const start = performance.now()
  const programs = Array.from({ length: count }, () => new Program(command, { stdio: ['ignore', 'ignore', 'pipe'] }))
  const codes = await Promise.all(programs.map((program) => program.code()))
  const failures = programs.flatMap(({ said }, index) => (codes[index] ? [`${codes[index]}: ${said}`] : []))
  return { failures, took: performance.now() - start }
}

/** So many runs of one lock. */
export const runsAtOnce = (main: string, folder: string, count: number): Promise<Crowd> =>
  startAtOnce(count, [process.execPath, main, 'run', 'crowded', '--store', join(folder, 'locks.db'), '--', ...job])

/** The same by flock(1), which Node programs call: a machine that is busy is as busy with these as with runs. */
export function flocksOfNodeAtOnce(folder: string, count: number): Promise<Crowd> {
  const args = JSON.stringify([join(folder, 'flock'), ...job])
  return startAtOnce(count, [process.execPath, '-e', `process.exitCode = child_process.spawnSync('flock', ${args}).status`])
}

/** The same by flock(1) alone. */
export const flocksAtOnce = (folder: string, count: number): Promise<Crowd> => startAtOnce(count, ['flock', join(folder, 'flock'), ...job])

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const count = Number(process.argv[2] ?? 200)
  const built = buildProgram()
  const folder = mkdtempSync(join(tmpdir(), 'storelock-'))
  try {
    const theirs = await flocksAtOnce(folder, count)
    const ours = await runsAtOnce(built.main, folder, count)
    const times = (ours.took / theirs.took).toFixed(1)
    const most = count > 100 ? 6 : 3
    console.log(`${count} at once: ${Math.round(ours.took)} ms, ${times} × flock's ${Math.round(theirs.took)} ms, ${ours.failures.length} failed`)
    for (const failure of ours.failures) console.log(failure)
    if (ours.failures.length || ours.took > most * theirs.took) process.exitCode = 1
  } finally {
    killAll()
    rmSync(folder, { recursive: true })
    built.remove()
  }
}
