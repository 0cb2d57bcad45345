// Draws the README's picture: `npx tsx docs/pictures/timeline.ts`.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

const width = 860
const height = 372
/** Where time begins, and how many units wide a second is. */
const start = 112
const second = 46
const lanes = { A: 78, B: 142, C: 206, database: 290 } as const
type Lane = keyof typeof lanes

const at = (time: number): number => start + time * second

/** Of the page that it is on, or the system's: the card has a background of its own, so it can be read on any. */
const style = `
  text { font: 14px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: var(--ink) }
  .lane { font-weight: 600 }
  .small { font-size: 12.5px; fill: var(--soft) }
  .in { fill: #fff; font-weight: 600 }
  .good { fill: var(--good) } .bad { fill: var(--bad) } .strong { font-weight: 600 }
  .card { fill: var(--card); stroke: var(--line) }
  .base { stroke: var(--line); stroke-width: 2 }
  .held { fill: var(--held) } .paused { fill: url(#stripes); stroke: var(--soft); stroke-dasharray: 4 3 }
  .stripe { stroke: var(--soft); stroke-width: 2; opacity: .45 }
  .renewal { fill: #fff }
  .wait { stroke: var(--held); stroke-width: 2; stroke-dasharray: 2 5 }
  .write { stroke: var(--good); stroke-width: 2 } .late { stroke: var(--bad); stroke-width: 2.5 }
  .rows { fill: var(--row); stroke: var(--line) }
  .mark { fill: none; stroke-width: 3; stroke-linecap: round }
  svg { --card: #fff; --ink: #1f2328; --soft: #59636e; --line: #d1d9e0; --held: #0969da; --good: #1a7f37; --bad: #cf222e; --row: #f6f8fa }
  @media (prefers-color-scheme: dark) {
    svg { --card: #0d1117; --ink: #f0f6fc; --soft: #9198a1; --line: #3d444d; --held: #1f6feb; --good: #3fb950; --bad: #f85149; --row: #151b23 }
  }`

const text = (x: number, y: number, words: string, kind = '', anchor = 'start'): string =>
  `<text x="${x}" y="${y}" class="${kind}" text-anchor="${anchor}">${words}</text>`

const lane = (name: Lane, label: string): string => {
  const y = lanes[name]
  return `${text(24, y + 5, label, 'lane')}<line x1="${start}" x2="${width - 24}" y1="${y}" y2="${y}" class="base"/>`
}

/** A bar from one time to another, with the token of the grant and a dot for each renewal. */
function held(name: Lane, from: number, to: number, token: number, renewals: readonly number[]): string {
  const y = lanes[name]
  const bar = `<rect x="${at(from)}" y="${y - 14}" width="${at(to) - at(from)}" height="28" rx="5" class="held"/>`
  const dots = renewals.map((time) => `<circle cx="${at(time)}" cy="${y}" r="3.5" class="renewal"/>`)
  return [bar, text(at(from) + 10, y + 5, `token ${token}`, 'in'), ...dots].join('')
}

function paused(name: Lane, from: number, to: number): string {
  const y = lanes[name]
  return `<rect x="${at(from)}" y="${y - 14}" width="${at(to) - at(from)}" height="28" rx="5" class="paused"/>`
}

const waits = (name: Lane, from: number, to: number): string => {
  const y = lanes[name]
  return `<line x1="${at(from)}" x2="${at(to)}" y1="${y}" y2="${y}" class="wait"/>${text(at(from) + 4, y - 8, 'waits', 'small')}`
}

const cross = (x: number, y: number): string => `<path d="M${x - 7} ${y - 7}l14 14m0 -14l-14 14" class="mark" stroke="var(--bad)"/>`
const tick = (x: number, y: number): string => `<path d="M${x - 7} ${y}l5 6l9 -12" class="mark" stroke="var(--good)"/>`

/** A write that goes down to the database, and what becomes of it. */
function write(name: Lane, time: number, isRefused = false): string {
  const x = at(time)
  const end = lanes.database - 24
  const line = `<line x1="${x}" x2="${x}" y1="${lanes[name] + 14}" y2="${end}" class="${isRefused ? 'late' : 'write'}" marker-end="url(#${isRefused ? 'late' : 'fine'})"/>`
  return `${line}${isRefused ? cross(x, lanes.database) : tick(x, lanes.database)}`
}

const arrow = (id: string, colour: string): string =>
  `<marker id="${id}" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0l8 4l-8 4z" fill="var(--${colour})"/></marker>`

const title = 'Three processes, one lock, and a write that comes too late'
const description =
  'Process A holds the lock with token 41, renews its lease, writes, and is killed. B takes over within milliseconds with token 42, writes, and is paused. After B’s lease C gets the lock with token 43 and writes. B wakes up and writes with token 42: the fence refuses it, and the data stays right.'

/** The picture, as SVG. */
export function timeline(): string {
  const y = lanes.database
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="title description">`,
    `<title id="title">${title}</title><desc id="description">${description}</desc>`,
    `<style>${style}\n</style>`,
    `<defs>${arrow('fine', 'good')}${arrow('late', 'bad')}<pattern id="stripes" width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><line x1="0" x2="0" y1="0" y2="8" class="stripe"/></pattern></defs>`,
    `<rect x=".5" y=".5" width="${width - 1}" height="${height - 1}" rx="10" class="card"/>`,
    text(24, 34, title, 'strong'),
    lane('A', 'process A'),
    lane('B', 'process B'),
    lane('C', 'process C'),
    `<rect x="${start}" y="${y - 22}" width="${width - 24 - start}" height="44" rx="6" class="rows"/>`,
    text(24, y - 3, 'database', 'lane'),
    text(24, y + 14, 'with its fence', 'small'),
    write('A', 2.6),
    write('B', 6.3),
    write('C', 12.3),
    write('B', 13.3, true),
    held('A', 0.2, 3.6, 41, [2.15, 2.6, 3.05]),
    cross(at(3.6) + 14, lanes.A),
    text(at(3.6) + 28, lanes.A + 5, 'killed', 'bad strong'),
    waits('B', 0.7, 3.7),
    held('B', 3.7, 6.8, 42, [5.8, 6.3]),
    paused('B', 6.8, 12.9),
    text(at(9.85), lanes.B + 5, 'paused: a sleep, a long hang', 'strong', 'middle'),
    waits('C', 2.8, 10),
    held('C', 10, 15.4, 43, [12.3, 12.8, 13.8, 14.3, 14.8]),
    text(at(3.7), lanes.B - 20, 'takes over in milliseconds', 'small'),
    text(at(6.6), lanes.C - 20, 'gets it when B’s lease has ended', 'small'),
    `<circle cx="${at(13.3)}" cy="${lanes.B}" r="5" fill="var(--bad)"/>`,
    text(at(13.3), lanes.B - 20, 'wakes up, writes late', 'bad strong', 'middle'),
    text(at(2.6) + 16, y + 5, '41', 'good strong'),
    text(at(6.3) + 16, y + 5, '42', 'good strong'),
    text(at(12.3) - 14, y + 5, '43', 'good strong', 'end'),
    text(at(13.3) + 16, y + 5, '42 refused', 'bad strong'),
    `<circle cx="30" cy="${height - 28}" r="3.5" fill="var(--held)"/>`,
    text(42, height - 23, 'renewal of the lease', 'small'),
    text(210, height - 23, 'token: a number that rises with every grant', 'small'),
    text(500, height - 23, 'fence: the database checks who holds the lock', 'small'),
    '</svg>',
  ]
  return `${parts.join('\n')}\n`
}

if (process.argv[1] === import.meta.filename) writeFileSync(join(import.meta.dirname, 'timeline.svg'), timeline())
