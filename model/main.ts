import { parseArgs } from 'node:util'
import pc from 'picocolors'
import { runBatch } from '../src/protocol/index.ts'
import { type Exploration, explore } from './explore.ts'
import { mutants } from './mutants.ts'
import type { Rules } from './state.ts'
import { tell } from './words.ts'

const help = `npm run model [-- options]

Tries everything that three sessions can do with two keys, in every order, on the rules themselves (src/protocol), and
checks after each command that the promises hold. States that differ by names and numbers alone count once.

  --depth N      how many moves from the start (default 5: about a minute; each further one takes some 13 times as long)
  --sessions N   1 to 6 (default 3)
  --mutants      break the rules in one way after the other instead, and see that each is found out
  --help         show this`

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        depth: { type: 'string', default: '5' },
        sessions: { type: 'string', default: '3' },
        mutants: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    return { ...values, depth: whole('--depth', values.depth, 50), sessions: whole('--sessions', values.sessions, 6) }
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${help}`)
    return process.exit(2)
  }
}

function whole(name: string, text: string, most: number): number {
  const value = Number(text)
  if (!(Number.isInteger(value) && value >= 1 && value <= most)) throw new RangeError(`${name} is a whole number from 1 to ${most}, not ${text}`)
  return value
}

const count = (value: number): string => value.toLocaleString('en')

/** Explores, and shows the progress on a terminal. */
function timed(rules: Rules): { found: Exploration; seconds: string } {
  const begun = performance.now()
  const { isTTY } = process.stderr
  let shown = begun
  const found = explore(rules, options.sessions, options.depth, (states, depth) => {
    if (performance.now() - shown < (isTTY ? 200 : 10_000)) return
    shown = performance.now()
    process.stderr.write(`${isTTY ? '\r' : ''}${count(states)} states, at depth ${depth}${isTTY ? '\x1b[K' : '\n'}`)
  })
  if (isTTY) process.stderr.write('\r\x1b[K')
  return { found, seconds: ((performance.now() - begun) / 1_000).toFixed(1) }
}

const told = ({ law, path }: NonNullable<Exploration['flaw']>): string => `${law}\n${tell(path)}`

function runModel(): boolean {
  const { found, seconds } = timed(runBatch)
  const { flaw, states, moves, depth, levels } = found
  const size = `${options.sessions} sessions, 2 keys: ${count(states)} states, ${count(moves)} moves, ${seconds} s`
  if (flaw) {
    console.log(`${size}\n${pc.red(`a promise is broken after ${flaw.path.length} moves:`)} ${told(flaw)}`)
    return false
  }
  console.log(levels.map((fresh, level) => `depth ${level}: ${count(fresh)} new states`).join('\n'))
  console.log(`${size}\n${pc.green(`every promise holds; complete to depth ${depth}`)}`)
  return true
}

function runMutants(): boolean {
  const missed: string[] = []
  for (const [name, rules] of Object.entries(mutants)) {
    const { found, seconds } = timed(rules)
    if (!found.flaw) missed.push(name)
    const size = `${count(found.states)} states, ${seconds} s`
    console.log(found.flaw ? `${pc.green('caught')} at depth ${found.flaw.path.length} (${size}): ${name}` : `${pc.red('missed')} (${size}): ${name}`)
    if (found.flaw) console.log(pc.dim(told(found.flaw)))
  }
  const total = Object.keys(mutants).length
  console.log(`\n${total - missed.length} of ${total} caught${missed.length ? `; missed: ${missed.join(', ')}` : ''}`)
  return !missed.length
}

const options = readOptions()
if (options.help) console.log(help)
else if (!(options.mutants ? runMutants() : runModel())) process.exitCode = 1
