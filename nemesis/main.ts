import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { table, troubles } from './report.ts'
import { faultsOf, runBoth } from './run.ts'
import { stores } from './stores.ts'

const help = `npm run nemesis -- --store NAME [options]

Eight Node processes on one SQLite file, one Postgres, one Redis or one etcd, six Chromium tabs on one IndexedDB database, or
eight processes whose locks a lock server keeps, or three on one Postgres, do read-modify-write under a lock while they are stopped, hung, killed before and after they commit,
have their clocks set and their disk held up, the server killed and stopped, and the tabs' connections to the database
torn or slow, the database upgraded and deleted, and the site's storage cleared by a response and by the browser.
First without a fence, until that has lost an update; then fenced, which must lose none. What every worker noted is
then checked against what is written. The exit code is 1 if anything was lost, if two were told that they hold a lock,
if a call was never settled, or if the control lost nothing.

redis-failover: a Redis is killed again and again, and its replica takes its place, which lags by then. All writes are
fenced. The control has no \`durability\`, and has to lose what the replica had not got; with \`replicas: 1\` nothing may be lost.
etcd-cluster: three members on hosts of their own, as network namespaces (Linux, as root): the leader and others are killed,
stopped, and cut off from each other while clients still reach them.

  --store NAME   ${Object.keys(stores).join(', ')}
  --seconds N    how long the fenced run takes; default 60
  --every N      the mean time from one of its faults to the next, in seconds; default 1
  --seed S       a whole number that chooses the faults and who suffers them; default: another each time
  --json FILE    also write the results there
  --help         show this`

function readOptions() {
  const { values } = parseArgs({
    options: {
      store: { type: 'string' },
      seconds: { type: 'string', default: '60' },
      every: { type: 'string', default: '1' },
      seed: { type: 'string', default: String(Math.floor(Math.random() * 1_000_000)) },
      json: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    console.log(help)
    process.exit()
  }
  const open = stores[values.store ?? '']
  if (!open) throw new RangeError(`--store is ${Object.keys(stores).join(' or ')}, not ${values.store ?? 'left out'}`)
  const [seconds, every, seed] = [Number(values.seconds), Number(values.every), Number(values.seed)]
  if (!(seconds > 0 && seconds <= 86_400)) throw new RangeError(`--seconds is a number up to 86400, not ${values.seconds}`)
  if (!(every > 0 && every <= 3_600)) throw new RangeError(`--every is a number up to 3600, not ${values.every}`)
  if (!Number.isSafeInteger(seed)) throw new RangeError(`--seed is a whole number, not ${values.seed}`)
  return { open, seconds, every, seed, store: values.store, json: values.json }
}

async function main({ open, seconds, every, seed, store, json }: ReturnType<typeof readOptions>, signal: AbortSignal): Promise<void> {
  const log = (line: string) => console.error(line)
  log(`${store}, seed ${seed}`)
  const { control, fenced } = await runBoth({ open, time: seconds * 1_000, every: every * 1_000, seed, log, signal })
  const wrong = faultsOf(control, fenced)
  console.log(table(control, fenced))
  if (troubles(fenced).length) console.log(`\nwhat failed besides, in the fenced run, and was gone on from:\n${troubles(fenced).join('\n')}`)
  // One bug may cause a thousand violations.
  console.log(wrong.length ? `\nFAILED (seed ${seed})\n${wrong.slice(0, 20).join('\n')}` : '\nThe fence lost nothing.')
  if (json) writeFileSync(json, `${JSON.stringify({ store, seed, seconds, every, wrong, control, fenced }, null, 2)}\n`)
  if (wrong.length) process.exitCode = 1
}

const interrupted = new AbortController()
// npm and tsx may repeat the same Ctrl-C, so only a later one means that the user will not wait for the cleanup.
let first = Number.POSITIVE_INFINITY
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => {
    if (performance.now() - first > 1_000) process.exit(130)
    first = Math.min(first, performance.now())
    interrupted.abort()
  })
}
try {
  let options: ReturnType<typeof readOptions>
  try {
    options = readOptions()
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${help}`)
    process.exit(2)
  }
  await main(options, interrupted.signal)
} catch (error) {
  if (!interrupted.signal.aborted) console.error(error)
  process.exitCode = interrupted.signal.aborted ? 130 : 1
}
process.exit()
