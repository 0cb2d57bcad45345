import { parseArgs } from 'node:util'
import pc from 'picocolors'
import { runBatch } from '../src/protocol/index.ts'
import { mutants as brokenClients } from './client/mutants.ts'
import { scenes } from './client/scenes.ts'
import { clientSpace } from './client/space.ts'
import { type Parts, realParts } from './client/world.ts'
import { type Exploration, explore, type Space } from './explore.ts'
import { mutants as brokenRules, limitMutants } from './protocol/mutants.ts'
import { protocolSpace } from './protocol/space.ts'

const help = `npm run model [-- options]

Tries everything that can happen, in every order, and checks after each move that the promises hold:
- three sessions and two keys, on the rules themselves (src/protocol), with shared locks and with such as two may hold;
- two clients, and three, and one key: what each does with its requests and grants (src/locks/core) against these rules, with
  messages that are late, lost or doubled, stores that fail before or after they commit, crashes and deadlines that pass.
States that differ by names and numbers alone count once.

  --only PART     rules or clients
  --depth N       of the rules, how many moves from the start (default 5: some two minutes; each further one takes some 13 times as long)
  --sessions N    of the rules, 1 to 6 (default 3)
  --deeper N      so many moves more of the clients (default 0; each takes about twice as long)
  --mutants       break the rules, and the clients, in one way after the other instead, and see that each is found out
  --help          show this`

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        only: { type: 'string' },
        depth: { type: 'string', default: '5' },
        deeper: { type: 'string', default: '0' },
        sessions: { type: 'string', default: '3' },
        mutants: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    const { only } = values
    if (only !== undefined && only !== 'rules' && only !== 'clients') throw new RangeError(`--only is rules or clients, not ${only}`)
    const deeper = whole('--deeper', values.deeper, 0, 20)
    return { ...values, deeper, depth: whole('--depth', values.depth, 1, 50), sessions: whole('--sessions', values.sessions, 1, 6) }
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${help}`)
    return process.exit(2)
  }
}

function whole(name: string, text: string, least: number, most: number): number {
  const value = Number(text)
  if (!(Number.isInteger(value) && value >= least && value <= most))
    throw new RangeError(`${name} is a whole number from ${least} to ${most}, not ${text}`)
  return value
}

const count = (value: number): string => value.toLocaleString('en')

/** Explores a space and shows its progress on stderr. */
function timed<State>(space: Space<State>, depth: number): { found: Exploration; seconds: string } {
  const begun = performance.now()
  const { isTTY } = process.stderr
  let shown = begun
  const found = explore(space, depth, (states, level) => {
    if (performance.now() - shown < (isTTY ? 200 : 10_000)) return
    shown = performance.now()
    process.stderr.write(`${isTTY ? '\r' : ''}${count(states)} states, at depth ${level}${isTTY ? '\x1b[K' : '\n'}`)
  })
  if (isTTY) process.stderr.write('\r\x1b[K')
  return { found, seconds: ((performance.now() - begun) / 1_000).toFixed(1) }
}

const told = ({ law, path }: NonNullable<Exploration['flaw']>): string => `${law}\n${path.map((line, index) => `  ${index + 1}. ${line}`).join('\n')}`

function check<State>(name: string, space: Space<State>, depth: number): boolean {
  const { found, seconds } = timed(space, depth)
  const { flaw, states, moves, levels, isWhole } = found
  const size = `${name}: ${count(states)} states, ${count(moves)} moves, ${seconds} s`
  if (flaw) {
    console.log(`${size}\n${pc.red(`a promise is broken after ${flaw.depth} moves:`)} ${told(flaw)}`)
    return false
  }
  console.log(pc.dim(levels.map((fresh, level) => `depth ${level}: ${count(fresh)} new states`).join('\n')))
  console.log(`${size}\n${pc.green(`every promise holds; complete ${isWhole ? 'whole' : `to depth ${found.depth}`}`)}\n`)
  return true
}

function seek<State>(name: string, space: Space<State>, depth: number): boolean {
  const { found, seconds } = timed(space, depth)
  const { flaw } = found
  const size = `${count(found.states)} states, ${seconds} s`
  console.log(flaw ? `${pc.green('caught')} at depth ${flaw.depth} (${size}): ${name}` : `${pc.red('missed')} (${size}): ${name}`)
  if (flaw) console.log(pc.dim(told(flaw)))
  return flaw !== undefined
}

/** Explores all scenes to a depth of 1, then of 2, and so on: most mutants are caught within a second in one of the scenes. */
function seekClient(name: string, parts: Parts): boolean {
  const begun = performance.now()
  for (let level = 1; level <= Math.max(...scenes.map((scene) => scene.depth + deeper)); level++) {
    for (const scene of scenes) {
      const { flaw } = explore(clientSpace(parts, scene), Math.min(level, scene.depth + deeper))
      if (!flaw) continue
      const size = `${((performance.now() - begun) / 1_000).toFixed(1)} s`
      console.log(`${pc.green('caught')} at depth ${flaw.depth} (${size}): ${name}; ${scene.name}\n${pc.dim(told(flaw))}`)
      return true
    }
  }
  console.log(`${pc.red('missed')}: ${name}`)
  return false
}

const { only, depth, deeper, sessions, ...options } = readOptions()
const has = (part: 'rules' | 'clients'): boolean => only === undefined || only === part

function runModel(): boolean {
  const rules =
    !has('rules') ||
    (check(`${sessions} sessions, 2 keys`, protocolSpace(runBatch, sessions), depth) &&
      check(`${sessions} sessions, 2 keys that two may hold`, protocolSpace(runBatch, sessions, 'limited'), depth))
  if (!has('clients')) return rules
  return scenes.every((scene) => check(scene.name, clientSpace(realParts, scene), scene.depth + deeper)) && rules
}

function runMutants(): boolean {
  const caught = [
    ...(has('rules') ? Object.entries(brokenRules).map(([name, rules]) => seek(name, protocolSpace(rules, sessions), depth)) : []),
    ...(has('rules') ? Object.entries(limitMutants).map(([name, rules]) => seek(name, protocolSpace(rules, sessions, 'limited'), depth)) : []),
    ...(has('clients') ? Object.entries(brokenClients).map(([name, parts]) => seekClient(name, parts)) : []),
  ]
  console.log(`\n${caught.filter(Boolean).length} of ${caught.length} caught`)
  return caught.every(Boolean)
}

if (options.help) console.log(help)
else if (!(options.mutants ? runMutants() : runModel())) process.exitCode = 1
