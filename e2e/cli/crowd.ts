// Starts many runs, waiters or tabs on one lock at once, and compares them with flock or Web Locks: `npx tsx e2e/cli/crowd.ts --help`.
import { mkdtempSync, rmSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startEngine } from '../engines/index.ts'
import { tabsAtOnce } from '../tabs/crowd.ts'
import { buildProgram } from './build.ts'
import { killAll, Program } from './program.ts'

export interface Crowd {
  /** The exit codes other than 0, each with the output on stderr. */
  readonly failures: readonly string[]
  /** The time until the last one ended, in ms. */
  readonly took: number
}

/** The command that each runs under the lock: as much work as a small script. */
const job = [process.execPath, '-e', '0']

/** Starts `count` copies of a command at once, and waits until all have ended. */
export async function startAtOnce(count: number, command: readonly string[]): Promise<Crowd> {
  const start = performance.now()
  const programs = Array.from({ length: count }, () => new Program(command, { stdio: ['ignore', 'ignore', 'pipe'] }))
  const codes = await Promise.all(programs.map((program) => program.code()))
  const failures = programs.flatMap(({ said }, index) => (codes[index] ? [`${codes[index]}: ${said}`] : []))
  return { failures, took: performance.now() - start }
}

/** Starts `count` runs of one lock. */
export const runsAtOnce = (main: string, folder: string, count: number): Promise<Crowd> =>
  startAtOnce(count, [process.execPath, main, 'run', 'crowded', '--store', join(folder, 'locks.db'), '--', ...job])

/** The same with Node programs that call flock(1): they load the machine as much as runs do. */
export function flocksOfNodeAtOnce(folder: string, count: number): Promise<Crowd> {
  const args = JSON.stringify([join(folder, 'flock'), ...job])
  return startAtOnce(count, [process.execPath, '-e', `process.exitCode = child_process.spawnSync('flock', ${args}).status`])
}

/** The same with flock(1) alone. */
export const flocksAtOnce = (folder: string, count: number): Promise<Crowd> => startAtOnce(count, ['flock', join(folder, 'flock'), ...job])

const help = `npx tsx e2e/cli/crowd.ts [--count N] [--of runs|waiters|tabs] [--store sqlite|http]

  --of runs     as many "storelock run" (default; 100), beside as many flock(1)s of the same job
  --of waiters  as many sessions (1,000) in ten processes; there is nothing to compare them with
  --of tabs     as many tabs of Chromium (60), beside Web Locks; the store is IndexedDB
  --store       where the locks of runs and waiters are; default sqlite, http is a lock server on such a file

Exits with 1 if one fails, or if runs and tabs take more than 3 times as long as what they stand beside, 6 times for more than 100.
`

/** The default counts. */
const usual = { runs: 100, waiters: 1_000, tabs: 60 }

interface Compared {
  readonly ours: Crowd
  /** How long each alternative took, in ms. Ours is judged against the first. */
  readonly theirs: readonly (readonly [what: string, took: number])[]
}

/** @param main the program @param store a path or URL */
async function runs(main: string, count: number, folder: string, store: string): Promise<Compared> {
  const flock = await flocksAtOnce(folder, count)
  const ofNode = await flocksOfNodeAtOnce(folder, count)
  // The first run leaves its compiled code for all later ones.
  await new Program([process.execPath, main, 'run', 'alone', '--store', store, '--', ...job]).code()
  const ours = await startAtOnce(count, [process.execPath, main, 'run', 'crowded', '--store', store, '--', ...job])
  return {
    ours,
    theirs: [
      ['flock', flock.took],
      ['flock that Node programs call', ofNode.took],
    ],
  }
}

async function waiters(count: number, store: string): Promise<Compared> {
  const processes = 10
  const child = fileURLToPath(new URL('waiters.ts', import.meta.url))
  const each = `${Math.ceil(count / processes)}`
  return { ours: await startAtOnce(processes, [process.execPath, '--import', 'tsx', child, store, each]), theirs: [] }
}

async function tabs(count: number): Promise<Compared> {
  const engine = await startEngine('chromium')
  try {
    const { ours, theirs, failures } = await tabsAtOnce(engine, count)
    return { ours: { took: ours, failures }, theirs: [['Web Locks', theirs]] }
  } finally {
    await engine.close()
  }
}

/** Starts a lock server in a process of its own. @returns its URL */
const serve = (main: string, file: string): Promise<string> =>
  new Program([process.execPath, main, 'serve', '--store', file, '--listen', '0']).shows(/(http:\/\/\S+)/)

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      help: { type: 'boolean', default: false },
      count: { type: 'string' },
      of: { type: 'string', default: 'runs' },
      store: { type: 'string', default: 'sqlite' },
    },
  })
  if (values.help) return console.log(help)
  if (!(values.of in usual) || !['sqlite', 'http'].includes(values.store)) throw new TypeError(`that is not what this command knows:\n\n${help}`)
  const of = values.of as keyof typeof usual
  const count = Number(values.count ?? usual[of])
  if (!Number.isSafeInteger(count) || count < 1) throw new RangeError(`--count is a whole number from 1, not ${values.count}`)
  const folder = mkdtempSync(join(tmpdir(), 'storelock-'))
  const built = await buildProgram()
  try {
    const file = join(folder, 'locks.db')
    const store = values.store === 'http' ? await serve(built.main, file) : file
    const { ours, theirs } =
      of === 'runs' ? await runs(built.main, count, folder, store) : of === 'waiters' ? await waiters(count, store) : await tabs(count)
    console.log(`${count} ${of} at once: ${Math.round(ours.took)} ms, ${ours.failures.length} failed; load ${loadavg()[0]?.toFixed(1)}`)
    for (const [what, took] of theirs) console.log(`  ${(ours.took / took).toFixed(2)} × ${what}: ${Math.round(took)} ms`)
    for (const failure of ours.failures) console.log(failure)
    const most = count > 100 ? 6 : 3
    if (ours.failures.length || theirs.slice(0, 1).some(([, took]) => ours.took > most * took)) process.exitCode = 1
  } finally {
    killAll()
    built.remove()
    rmSync(folder, { recursive: true })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
