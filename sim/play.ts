import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Plugin } from 'vite'
import { bundle, root } from '../bench/bundle.ts'
import type { Task } from './child.ts'
import { type Mutant, mutation } from './mutants.ts'
import type { Tally } from './parts.ts'
import type { Result } from './run.ts'

export interface Outcome {
  /** The result of the first world that broke a promise. */
  readonly failed: Result | undefined
  readonly worlds: number
  /** The simulated time, in ms. */
  readonly ms: number
  /** The history of the last world, if the task asks for it. */
  readonly history: readonly string[]
  /** The real time, in ms. */
  readonly took: number
  readonly tally: Tally
}

/** Simulates the primitives under `channels/socket.ts`. The rest of the library is unchanged. */
const withoutSockets: Plugin = {
  name: 'without sockets',
  enforce: 'pre',
  resolveId(source, importer) {
    return importer?.endsWith('/src/channels/socket.ts') && /\/(place|inbox|peers)\.ts$/.test(source) ? join(root, 'sim/sockets.ts') : undefined
  },
}

let made = 0

/** Builds the simulation, with a mutant if given, as one file for plain Node. @returns its path */
export async function build(mutant?: Mutant): Promise<string> {
  const folder = join(root, 'out', 'sim')
  const file = join(folder, `${process.pid}-${made++}.js`)
  mkdirSync(folder, { recursive: true })
  writeFileSync(file, await bundle('sim/child.ts', 'node', [withoutSockets, ...(mutant ? [mutation(mutant)] : [])]))
  return file
}

/** Runs worlds in a process of their own until a promise breaks or the task is done. Calls `seen` after each world. */
export async function play(file: string, task: Task, signal?: AbortSignal, seen: (outcome: Outcome) => void = () => {}): Promise<Outcome> {
  const child = fork(file, { execArgv: [], signal })
  const begun = performance.now()
  let outcome: Outcome = { failed: undefined, history: [], worlds: 0, ms: 0, took: 0, tally: { operations: {}, faults: {}, told: {} } }
  child.on('message', (result: Result) => {
    outcome = {
      failed: result.failure === undefined ? undefined : result,
      history: result.history ?? [],
      worlds: outcome.worlds + 1,
      ms: outcome.ms + result.ms,
      took: performance.now() - begun,
      tally: add(outcome.tally, result.tally),
    }
    seen(outcome)
  })
  child.send(task)
  const code = await exitOf(child, signal)
  if (code !== 0) throw new Error(`the simulation ended with ${code} after seed ${task.seed + outcome.worlds}`)
  return outcome
}

async function exitOf(child: ChildProcess, signal: AbortSignal | undefined): Promise<unknown> {
  try {
    // The child's last message may arrive after it has exited.
    const [[code, killed]] = await Promise.all([once(child, 'exit'), once(child, 'disconnect')])
    signal?.throwIfAborted()
    return code ?? killed
  } finally {
    child.kill('SIGKILL')
  }
}

function add(one: Tally, other: Tally): Tally {
  const sum = structuredClone(one)
  for (const [kind, counts] of Object.entries(other) as [keyof Tally, Tally[keyof Tally]][]) {
    for (const [name, count] of Object.entries(counts)) sum[kind][name] = (sum[kind][name] ?? 0) + count
  }
  return sum
}
