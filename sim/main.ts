import { rmSync } from 'node:fs'
import { parseArgs } from 'node:util'
import pc from 'picocolors'
import { hunt } from './hunt.ts'
import { mutants } from './mutants.ts'
import { build, type Outcome, play } from './play.ts'

const hour = 3_600_000

const help = `Plays worlds of processes that take locks while everything that may go wrong does, and checks after every step what is promised.

npm run sim -- [options]
  --hours H    simulated hours, in as many worlds as they take; default 20, and 200 at most for each mutant
  --seed S     of the first world; the next ones follow. Default 1
  --replay     plays the world of --seed alone and prints its history
  --mutants    makes the library wrong in ${mutants.length} ways, one by one, and tells which of them are caught
  --only TEXT  of the mutants, those whose name has this text
  --help

One seed always makes one history. Ends with 1 if a promise did not hold, or a mutant was missed.`

interface Options {
  readonly hours: number
  readonly seed: number
  readonly replay: boolean
  readonly mutants: boolean
  readonly only: string | undefined
}

function options(): Options | undefined {
  const { values } = parseArgs({
    options: {
      hours: { type: 'string' },
      seed: { type: 'string', default: '1' },
      replay: { type: 'boolean', default: false },
      mutants: { type: 'boolean', default: false },
      only: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return undefined
  const { replay, only } = values
  const hours = Number(values.hours ?? (values.mutants ? 200 : 20))
  const seed = Number(values.seed)
  if (!(hours > 0)) throw new Error(`--hours wants a number above 0, not ${values.hours}`)
  if (!Number.isSafeInteger(seed) || seed < 0) throw new Error(`--seed wants a whole number from 0 on, not ${values.seed}`)
  if (replay && values.mutants) throw new Error('--replay and --mutants do not go together')
  if (only !== undefined && !values.mutants) throw new Error('--only goes with --mutants')
  return { hours, seed, replay, mutants: values.mutants, only }
}

/** Shows progress: on a terminal one line that is updated, elsewhere a line for each tenth. */
function progress(hours: number): (outcome: Outcome) => void {
  let shown = 0
  return ({ ms, took, worlds }) => {
    const done = ms / hour / hours
    const step = process.stderr.isTTY ? Math.floor(done * 1_000) : Math.floor(done * 10)
    if (step === shown) return
    shown = step
    const line = `${(ms / hour).toFixed(1)} of ${hours} h, ${worlds} worlds, ${Math.round(ms / took).toLocaleString('en')} × real time`
    process.stderr.write(process.stderr.isTTY ? `\r${line} ` : `${line}\n`)
  }
}

function report({ worlds, ms, took, tally }: Outcome): void {
  const speed = Math.round(ms / took).toLocaleString('en')
  console.log(`\n${(ms / hour).toFixed(2)} simulated hours in ${worlds} worlds, ${(took / 1_000).toFixed(1)} s: ${speed} × real time`)
  for (const [kind, counts] of Object.entries(tally)) {
    const all = Object.values(counts).reduce((sum, count) => sum + count, 0)
    const each = Object.entries(counts).sort(([, one], [, other]) => other - one)
    console.log(
      `${pc.bold(`${all.toLocaleString('en')} ${kind}`)}: ${each.map(([name, count]) => `${name} ${count.toLocaleString('en')}`).join(', ')}`,
    )
  }
}

async function simulate({ hours, seed, replay }: Options, signal: AbortSignal): Promise<void> {
  const file = await build()
  try {
    if (replay) {
      const { failed, history } = await play(file, { seed, history: true }, signal)
      console.log(history.join('\n'))
      return failed ? fail(`\n${failed.failure}`) : console.log(pc.green('\nall promises held'))
    }
    const outcome = await play(file, { seed, ms: hours * hour }, signal, progress(hours))
    report(outcome)
    if (!outcome.failed) return console.log(pc.green('all promises held'))
    const { history } = await play(file, { seed: outcome.failed.seed, history: true }, signal)
    console.log(`\n${history.slice(-40).join('\n')}`)
    fail(`\nseed ${outcome.failed.seed}: ${outcome.failed.failure}\nto replay it: npm run sim -- --replay --seed ${outcome.failed.seed}`)
  } finally {
    rmSync(file, { force: true })
  }
}

async function huntAll({ hours, seed, only }: Options, signal: AbortSignal): Promise<void> {
  const chosen = mutants.filter(({ name }) => name.includes(only ?? ''))
  if (!chosen.length) throw new Error(`no mutant's name has ${only}`)
  let missed = 0
  for (const mutant of chosen) {
    const { failed, ms, took } = await hunt(mutant, { seed, ms: hours * hour }, signal)
    if (!failed) missed++
    const verdict = failed ? pc.green('caught') : pc.red('MISSED')
    console.log(
      `${verdict}  ${mutant.name}  ${pc.dim(`${failed ? `seed ${failed.seed}, ` : ''}${(ms / hour).toFixed(1)} h, ${(took / 1_000).toFixed(1)} s`)}`,
    )
    if (failed) console.log(pc.dim(`        ${failed.failure}`))
  }
  console.log(`\n${chosen.length - missed} of ${chosen.length} caught`)
  if (missed) process.exitCode = 1
}

function fail(message: string): void {
  console.error(pc.red(message))
  process.exitCode = 1
}

const stop = new AbortController()
process.once('SIGINT', () => stop.abort(new Error('stopped')))
try {
  const chosen = options()
  if (!chosen) console.log(help)
  else await (chosen.mutants ? huntAll(chosen, stop.signal) : simulate(chosen, stop.signal))
} catch (error) {
  fail(error instanceof Error ? error.message : String(error))
}
