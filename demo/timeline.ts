import { colourOf } from './colours.ts'
import type { Half } from './half.ts'
import type { Report } from './messages.ts'
import type { Incident } from './story.ts'
import type { Tally } from './tally.ts'

export interface Chapter {
  readonly half: Half
  readonly tally: Tally
}

/** Where a moment, in ms of wall time, stands in the picture. */
type X = (at: number) => number

const width = 1_480
const left = 118
const right = 28
const lane = 30
const bar = 16
const headline = 84
const gap = 30

/** A picture of who held the lock when: one lane for each writer, from left to right. */
export function timeline(chapters: readonly Chapter[]): string {
  const times = chapters.flatMap(({ half }) => half.log.reports.map(({ at }) => at))
  const [start, end] = [Math.min(...times), Math.max(...times)]
  const x: X = (at) => left + ((at - start) / (end - start)) * (width - left - right)

  let y = 88
  const body = chapters.map((chapter) => {
    const drawn = drawChapter(chapter, y, x)
    y += headline + chapter.half.names.length * lane + gap
    return drawn
  })
  const height = y + 20
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title">
<title id="title">storelock demo: who held the lock, and when</title>
<style>${style}</style>
<defs><pattern id="silent" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="silent" width="7" height="7"/><rect class="stripe" width="3" height="7"/></pattern></defs>
<rect class="paper" width="${width}" height="${height}"/>
<text class="h1" x="28" y="44">One lock, taken in turn</text>
${legend(width - right, 38)}
${body.join('\n')}
${axis(start, end, x, y - gap + 6)}
</svg>
`
}

function drawChapter({ half, tally }: Chapter, top: number, x: X): string {
  const lanes = half.names.map((name, index) => {
    const middle = top + headline + index * lane
    const reports = half.log.reports.filter(({ writer }) => writer === name)
    const [first, last] = [reports[0]?.at ?? 0, reports.at(-1)?.at ?? 0]
    return `<text class="name" x="${left - 12}" y="${middle + 5}" text-anchor="end">${plain(name)}</text>
<line class="lane" x1="${fix(x(first))}" x2="${fix(x(last))}" y1="${middle}" y2="${middle}"/>
${holds(reports, tally.incidents, (at) => fix(x(at)), middle)}`
  })
  const marks = tally.incidents.map((incident, index) => drawIncident(incident, half.names, top, top + 30 + 20 * (index % 2), x))
  const { grants, lost, handOff } = tally
  const result = `${grants} grants · ${tally.incidents.length} take-overs · median hand-off ${handOff.toFixed(1)} ms · writes lost: ${lost}`
  return `<text x="28" y="${top + 6}"><tspan class="h2">${plain(half.title)}</tspan><tspan class="result" dx="14">${plain(result)}</tspan></text>
${lanes.join('\n')}
${marks.join('\n')}`
}

/** Thin while it waits, thick while it holds. */
function holds(reports: readonly Report[], incidents: readonly Incident[], x: (at: number) => string, y: number): string {
  let shapes = ''
  let since = 0
  const line = (to: number) => `<line class="wait" x1="${x(since)}" x2="${x(to)}" y1="${y}" y2="${y}"/>`
  for (const [index, told] of reports.entries()) {
    if (told.type === 'waiting') since = told.at
    if (told.type !== 'granted') continue
    const silence = incidents.find(({ token, writer }) => token === told.token && writer === told.writer)
    const end = silence?.at ?? reports.slice(index + 1).find(({ type }) => type === 'wrote' || type === 'lost')?.at ?? told.at
    shapes += line(told.at)
    shapes += rect(x(told.at), x(end), y, `fill="${colourOf(told.writer)}"`)
  }
  return shapes
}

function drawIncident({ writer, what, at, over, by }: Incident, names: readonly string[], top: number, note: number, x: X): string {
  const y = (name: string) => top + headline + names.indexOf(name) * lane
  const [from, to] = [fix(x(at)), fix(x(over))]
  const words = `${writer} ${what}; ${by} takes over after ${((over - at) / 1_000).toFixed(2)} s`
  return `${rect(from, to, y(writer), 'fill="url(#silent)"')}
<path class="cross" d="M${fix(x(at) - 5)} ${y(writer) - 5}l10 10m0-10l-10 10"/>
<line class="over" x1="${to}" x2="${to}" y1="${y(writer)}" y2="${y(by)}"/><circle class="arrive" cx="${to}" cy="${y(by)}" r="4.5"/>
<line class="leader" x1="${from}" x2="${from}" y1="${note + 6}" y2="${y(writer) - 9}"/>
<text class="note" x="${from}" y="${note}" text-anchor="${x(at) > width * 0.6 ? 'end' : 'start'}">${plain(words)}</text>`
}

function axis(start: number, end: number, x: X, y: number): string {
  const seconds = (end - start) / 1_000
  const step = seconds > 24 ? 5 : seconds > 12 ? 2 : 1
  const ticks = Array.from({ length: Math.floor(seconds / step) + 1 }, (_, index) => index * step)
  return ticks.map((tick) => `<text class="tick" x="${fix(x(start + tick * 1_000))}" y="${y}" text-anchor="middle">${tick} s</text>`).join('')
}

function legend(end: number, y: number): string {
  const entry = (from: number, sample: string, words: string) =>
    `<g transform="translate(${end - from} ${y})">${sample}<text class="key" x="34" y="5">${words}</text></g>`
  return [
    entry(590, '<line class="wait" x1="0" x2="26" y1="0" y2="0"/>', 'waits'),
    entry(495, rect('0', '26', 0, `fill="${colourOf('1')}"`), 'holds'),
    entry(400, rect('0', '26', 0, 'fill="url(#silent)"'), 'silent: nobody may have it before its lease is over'),
  ].join('')
}

function rect(from: string, to: string, y: number, fill: string): string {
  const wide = Math.max(1.5, Number(to) - Number(from))
  return `<rect x="${from}" y="${y - bar / 2}" width="${fix(wide)}" height="${bar}" rx="${Math.min(3, wide / 2)}" ${fill}/>`
}

const fix = (value: number): string => value.toFixed(1)

const plain = (text: string): string => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`)

const style = `
text { font: 14px system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #1b1f27 }
.paper { fill: #fff }
.h1 { font-size: 24px; font-weight: 700 }
.h2 { font-size: 17px; font-weight: 700 }
.result, .key, .tick { fill: #667080 }
.note { fill: #c0322f; font-weight: 600 }
.lane { stroke: #eceef2; stroke-width: 16; stroke-linecap: round }
.wait { stroke: #9aa4b2; stroke-width: 2 }
.silent { fill: #fbe3e2 }
.stripe { fill: #e9a3a0 }
.cross { stroke: #c0322f; stroke-width: 3; stroke-linecap: round; fill: none }
.over { stroke: #c0322f; stroke-width: 1.5; stroke-dasharray: 4 3 }
.leader { stroke: #c0322f; stroke-width: 1; opacity: .6 }
.arrive { fill: #fff; stroke: #c0322f; stroke-width: 2.5 }
`
