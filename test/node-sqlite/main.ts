// Runs the tests of the SQLite store on `node:sqlite`, in a Node that has it. Passes further arguments on to Vitest.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findNode } from './node.ts'

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs')

try {
  const node = await findNode((line) => console.error(line))
  // All processes and threads of the tests inherit these options. They silence Node's warnings that SQLite and type stripping are experimental.
  const options = [process.env.NODE_OPTIONS, '--disable-warning=ExperimentalWarning', `--import=${new URL('preload.ts', import.meta.url).href}`]
  const env = { ...process.env, NODE_OPTIONS: options.filter(Boolean).join(' ') }
  const args = [vitest, 'run', '--root', here('../..'), '--config', here('vitest.config.ts'), ...process.argv.slice(2)]
  const [code] = await once(spawn(node, args, { stdio: 'inherit', env }), 'exit')
  process.exitCode = code ?? 1
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
