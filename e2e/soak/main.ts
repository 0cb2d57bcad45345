// `npm run soak`: measures a lock server under all known attacks at once.
import { parseArgs } from 'node:util'
import { megabytes, soak } from './soak.ts'

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '600' }, help: { type: 'boolean', default: false } } })
const seconds = Number(values.seconds)

if (values.help || !(seconds > 0)) {
  console.log(`npm run soak -- [--seconds 600]

Starts a lock server, a user that takes and releases a lock, and a client with a small credential that attacks: it fills the log, opens
sessions, places, topics and senders without end, reads no answers, sends what is no request. Fails if the user was refused, if the
history was lost, if the server took more than 300 MB, or if the user's p99 was more than three times what it was alone.`)
  process.exit(values.help ? 0 : 1)
}

const { quiet, attacked, rss, slope, longestTurn, failures, history, attacks } = await soak(seconds, console.log)
for (const [name, statuses] of Object.entries(attacks)) console.log(`  ${name}: ${JSON.stringify(statuses)}`)
const row = ({ count, p50, p99 }: typeof quiet): string => `${count} times, p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`
console.log(`user alone: ${row(quiet)}
user under attack: ${row(attacked)}, refused ${failures.length} times ${[...new Set(failures)].slice(0, 3).join(' | ')}
server: most memory ${megabytes(rss)} MB, heap ${slope < 0 ? '' : '+'}${megabytes(slope)} MB an hour, longest turn ${longestTurn.toFixed(0)} ms
history: ${history ? 'whole' : 'lost'}`)
const kept = { 'no refusal': !failures.length, history, 'memory ≤ 300 MB': rss <= 300 * 2 ** 20, 'p99 ≤ 3 ×': attacked.p99 <= 3 * quiet.p99 }
for (const [what, is] of Object.entries(kept)) console.log(`${is ? 'ok' : 'NOT'}  ${what}`)
if (Object.values(kept).includes(false)) process.exitCode = 1
