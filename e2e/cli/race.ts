// Lets two runs race for a lock with --nonblock, again and again: `npx tsx e2e/cli/race.ts [rounds]`.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildProgram } from './build.ts'
import { Program } from './program.ts'

/** @returns the number of rounds in which one run got the lock and the other was told that it is held */
export async function race(main: string, folder: string, rounds: number): Promise<{ rounds: number; oneWinner: number }> {
  let oneWinner = 0
  for (let round = 0; round < rounds; round++) {
    // The winner keeps the lock until its input ends, which is after the other run has tried.
    const start = (): Program => new Program([process.execPath, main, 'run', 'race', '--nonblock', '--', 'cat'], { cwd: folder })
    const pair = [start(), start()]
    const codes = pair.map((program) => program.code())
    const first = await Promise.race(codes)
    for (const { child } of pair) child.stdin?.end()
    const all = await Promise.all(codes)
    if (first === 1 && all.filter((code) => code === 0).length === 1) oneWinner++
  }
  return { rounds, oneWinner }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const built = await buildProgram()
  const folder = mkdtempSync(join(tmpdir(), 'storelock-'))
  const start = performance.now()
  const { rounds, oneWinner } = await race(built.main, folder, Number(process.argv[2] ?? 1_000))
  console.log(`${oneWinner} of ${rounds} races had exactly one winner, in ${Math.round((performance.now() - start) / 1_000)} s`)
  rmSync(folder, { recursive: true })
  built.remove()
  if (oneWinner !== rounds) process.exitCode = 1
}
