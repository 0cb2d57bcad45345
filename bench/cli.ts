import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { buildProgram } from '../e2e/cli/build.ts'
import { compared, figure, type Measure } from './figure.ts'
import { inFolder } from './folder.ts'
import { alternate, median } from './rounds.ts'

const rounds = 30
const memoryRounds = 5
/** The program that does the same with a lock of the kernel, if it is installed. */
const peer = 'flock'

/** In ms since 1970, like `date`. */
const now = (): number => performance.timeOrigin + performance.now()

async function command(name: string, ...args: readonly string[]): Promise<void> {
  const [code] = (await once(spawn(name, args, { stdio: 'ignore' }), 'exit')) as [number | null]
  if (code !== 0) throw new Error(`${name} ${args.join(' ')} ended with ${code}`)
}

/**
 * Measures the memory of a waiting Node process, in MB: all of it, and the part that it shares with no other process. It shares the code of Node.
 * @param args of `node`; the program prints something once it waits
 */
async function memoryOf(...args: readonly string[]): Promise<{ all: number; own: number }> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] })
  const ended = once(child, 'exit')
  await once(child.stdout, 'data')
  const rollup = readFileSync(`/proc/${child.pid}/smaps_rollup`, 'utf8')
  const sum = (pattern: RegExp): number => Array.from(rollup.matchAll(pattern), ([, kB]) => Number(kB)).reduce((a, b) => a + b, 0) / 1_000
  child.kill()
  await ended
  return { all: sum(/^Rss: +(\d+)/gm), own: sum(/^Private_\w+: +(\d+)/gm) }
}

/** The time to run a command under a lock, with whole processes. */
export const measures: Record<string, Measure> = {
  'cli.run': (progress) =>
    inFolder(async (folder) => {
      const { main, remove } = await buildProgram()
      const run = ['run', 'job', '--store', join(folder, 'locks.db'), '--']
      const starts: number[] = []
      const started = (): void => {
        const start = now()
        const { stdout } = spawnSync(process.execPath, [main, ...run, 'date', '+%s%N'], { encoding: 'utf8' })
        starts.push(Number(stdout) / 1e6 - start)
      }
      const hasPeer = spawnSync(peer, ['--version']).status === 0
      const each = { iterations: 1 }
      const sides = {
        start: { ...each, run: started },
        node: { ...each, run: () => command(process.execPath, '-e', '0') },
        run: { ...each, run: () => command(process.execPath, main, ...run, 'true') },
        flock: { ...each, run: async () => (hasPeer ? command(peer, join(folder, 'file'), 'true') : undefined) },
      }
      try {
        const measured = await alternate(sides, rounds, progress)
        const node = measured.medians.node / 1_000
        const figures = [
          // From the start of run to that of its command, less `node -e 0`: how long it takes depends on the machine, as Node's own start does.
          figure('cli.run start, less `node -e 0`', 'ms', median(starts) - node, '`node -e 0`', node, rounds, 1.5),
          compared('cli.run', measured, 'run', 'node', '`node -e 0`'),
        ]
        return hasPeer ? [...figures, compared('cli.run', measured, 'run', 'flock', '`flock(1)`')] : figures
      } finally {
        remove()
      }
    }),

  'cli.memory': (progress) =>
    inFolder(async (folder) => {
      if (process.platform !== 'linux') return []
      const { main, remove } = await buildProgram()
      const waiting = 'console.log(0); setInterval(() => {}, 1_000)'
      const sides = {
        ours: [main, 'run', 'job', '--store', join(folder, 'locks.db'), '--', process.execPath, '-e', waiting],
        node: ['-e', waiting],
      }
      try {
        const all = { ours: [] as number[], node: [] as number[] }
        const own = { ours: [] as number[], node: [] as number[] }
        for (let round = 0; round < memoryRounds; round++) {
          for (const side of ['ours', 'node'] as const) {
            const memory = await memoryOf(...sides[side])
            all[side].push(memory.all)
            own[side].push(memory.own)
          }
          progress((round + 1) / memoryRounds)
        }
        return [
          figure('cli.memory', 'MB', median(all.ours), '`node` that only waits', median(all.node), memoryRounds),
          figure('cli.memory of its own', 'MB', median(own.ours), '`node` that only waits', median(own.node), memoryRounds),
        ]
      } finally {
        remove()
      }
    }),
}
