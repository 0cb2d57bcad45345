import { readFileSync } from 'node:fs'
import type { Figure } from './figure.ts'
import { updatePage } from './pages.ts'

/** The columns: the stores, by the first part of their figures' names. */
const stores = { sqlite: 'SQLite', indexeddb: 'IndexedDB', postgres: 'Postgres', redis: 'Redis', etcd: 'etcd', server: 'lock server' } as const

/** The rows, each with the figure that it shows. */
const rows: readonly (readonly [title: string, figure: string])[] = [
  ['`acquire` and `release`, with nobody else', 'acquireRelease'],
  ['hand-off to a waiter in another process or tab', 'handoff'],
  ['hand-off while 64 sessions wait, against 2', 'waiters.growth'],
  ['of the server’s computing, for an `acquire` and a `release`', 'server acquireRelease'],
  ['of the server’s computing, for a heartbeat', 'server beat'],
  ['of the server’s computing, for a look of a waiter', 'server look'],
  ['of a core of the server, for 10,000 locks that 10 sessions hold', 'beats10000'],
  ['while 1,000 sessions wait for one lock: writes a second', 'waiters1000 writes'],
  ['while 1,000 sessions wait for one lock: looks a second', 'waiters1000 looks'],
]

/** What the stores cost on one machine, as a Markdown table. */
function toCosts(figures: readonly Figure[], machine: string): string {
  const names = Object.keys(stores) as (keyof typeof stores)[]
  const cell = (store: string, row: string): string => {
    const found = figures.find(({ name }) => name === `${store}.${row}`)
    if (!found) return '–'
    const { ours, unit, ratio } = found
    if (row === 'waiters.growth') return `× ${short(ratio)}`
    if (unit === 'ms') return `${short(ours * 1_000)} µs`
    return unit.startsWith('%') ? `${short(ours)} %` : unit.endsWith('/s') ? short(ours) : `${short(ours)} ${unit}`
  }
  const shown = names.filter((store) => rows.some(([, row]) => cell(store, row) !== '–'))
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [
    line(['', ...shown.map((store) => stores[store])]),
    line(['---', ...shown.map(() => '--:')]),
    ...rows.map(([title, row]) => line([title, ...shown.map((store) => cell(store, row))])),
    '',
    `Medians of \`npm run bench\` on ${machine}, with the server on the same machine.`,
  ].join('\n')
}

/** The engines for which the CPU time of the server is measured. */
const engines = { postgres: 'Postgres', redis: 'Redis', etcd: 'etcd' } as const
/** The number of clients, and how often each holder beats, in Hz, by its duration in s: ten times per duration. */
const [clients, beats] = [100_000, { 10: 1, 60: 1 / 6 }] as const

/** How much load one core of a server can take, as a Markdown table. Each cell is computed from the cost of one operation. */
function toScale(figures: readonly Figure[], machine: string): string {
  const names = Object.keys(engines) as (keyof typeof engines)[]
  const cost = (engine: string, what: string): number => figures.find(({ name }) => name === `${engine}.server ${what}`)?.ours ?? Number.NaN
  const row = (title: string, of: (cost: (what: string) => number) => number): string => {
    const cells = names.map((engine) => of((what) => cost(engine, what)))
    return `| ${[title, ...cells.map((cell) => (Number.isFinite(cell) ? short(cell) : '–'))].join(' | ')} |`
  }
  const perSecond = (cost: number): number => 1_000_000 / cost
  const cores = (often: number) => (cost: (what: string) => number) => (clients * often * cost('beat')) / 1_000_000
  return [
    `| | ${names.map((engine) => engines[engine]).join(' | ')} |`,
    `| --- | ${names.map(() => '--:').join(' | ')} |`,
    row('computing for a beat, in µs (`b`)', (cost) => cost('beat')),
    row('computing for an acquire and a release, in µs (`a`)', (cost) => cost('acquireRelease')),
    row('computing for a look, in µs (`l`)', (cost) => cost('look')),
    row('beats a second of one core: 1,000,000 / `b`', (cost) => perSecond(cost('beat'))),
    row('acquires and releases a second of one core: 1,000,000 / `a`', (cost) => perSecond(cost('acquireRelease'))),
    row('looks a second of one core: 1,000,000 / `l`', (cost) => perSecond(cost('look'))),
    row('cores for the beats of 100,000 clients, with a `duration` of 10 s: 100,000 × `b` / 1,000,000', cores(beats[10])),
    row('cores for the beats of 100,000 clients, with a `duration` of 60 s: a sixth of that', cores(beats[60])),
    row('cores for the example below', (cost) => (16_700 * cost('beat') + 1_700 * cost('acquireRelease') + 10_000 * cost('look')) / 1_000_000),
    '',
    `From \`npm run bench\` on ${machine}.`,
  ].join('\n')
}

/** Writes the costs of the stores into docs/choosing-a-store.md, and how much load they take into docs/scale.md. */
export function updateChoosing(figures: readonly Figure[], machine: string): void {
  updatePage('docs/choosing-a-store.md', 'costs', toCosts(figures, machine))
  updatePage('docs/scale.md', 'scale', toScale(figures, machine))
}

/** Rounds to two digits, or, from 100 on, to a whole number. */
const short = (value: number): string => (value >= 100 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(2))))

// Run by itself, it does so with files that `npm run bench -- --json FILE` has written: `npx tsx bench/choosing.ts FILE…`.
if (process.argv[1] === import.meta.filename) {
  const read = process.argv.slice(2).map((file) => JSON.parse(readFileSync(file, 'utf8')) as { machine: string; figures: Figure[] })
  updateChoosing(
    read.flatMap(({ figures }) => figures),
    read[0]?.machine ?? '',
  )
}
