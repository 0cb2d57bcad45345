import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './bundle.ts'
import type { Figure } from './figure.ts'

const path = join(root, 'docs', 'choosing-a-store.md')
const [start, end] = ['<!-- costs -->', '<!-- /costs -->']

/** The columns: stores, by what their figures' names begin with. */
const stores = { sqlite: 'SQLite', indexeddb: 'IndexedDB', postgres: 'Postgres', redis: 'Redis', etcd: 'etcd', server: 'lock server' } as const

/** The rows, and the figures that they show. */
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

/** What the stores cost on one machine, as a table of Markdown. */
export function toCosts(figures: readonly Figure[], machine: string): string {
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
    `Medians of one run of \`npm run bench -- --readme\` on ${machine}, with the server on the same machine.`,
  ].join('\n')
}

/** Puts what the stores cost into docs/choosing-a-store.md. */
export function updateChoosing(figures: readonly Figure[], machine: string): void {
  const text = readFileSync(path, 'utf8')
  const [from, to] = [text.indexOf(start) + start.length, text.indexOf(end)]
  if (from < start.length || to < from) throw new Error(`${path} has no ${start} … ${end} to put a table into`)
  writeFileSync(path, `${text.slice(0, from)}\n${toCosts(figures, machine)}\n${text.slice(to)}`)
}

/** As many digits as say something. */
const short = (value: number): string => (value >= 100 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(2))))
