import { colourOf } from './colours.ts'
import { lostOf, type Mode, noTally } from './counters.ts'
import type { History, Lane, Mark, Span, TakeOver } from './history.ts'

export interface Group {
  readonly title: string
  readonly history: History
}

export interface Frame {
  /** The first and the last moment that are shown, in ms. */
  readonly from: number
  readonly to: number
  /** In px. */
  readonly width: number
  /** Whether the timeline ends now and goes on. */
  readonly live: boolean
}

const left = 82
const right = 20
const row = 30
const bar = 14
const heading = 26

/**
 * A picture of which worker held the lock when, from left to right, with a lane for each worker. Returns the elements of an SVG, and its height.
 * `timeline.css` has its colours.
 */
export function timeline(groups: readonly Group[], frame: Frame): { readonly body: string; readonly height: number } {
  const x = (at: number): number =>
    left + ((Math.min(frame.to, Math.max(frame.from, at)) - frame.from) / (frame.to - frame.from)) * (frame.width - left - right)
  let y = 4
  const parts = [defs]
  for (const { title, history } of groups) {
    const lanes = [...history.lanes.values()].sort((a, b) => numberOf(a.name) - numberOf(b.name))
    if (groups.length > 1) parts.push(text(0, y + 15, `${title} · ${summary(history)}`, 'tl-group'))
    y += groups.length > 1 ? heading : 0
    const middleOf = new Map(lanes.map(({ name }, index) => [name, y + row * index + row / 2]))
    for (const lane of lanes) parts.push(drawLane(lane, middleOf.get(lane.name) ?? y, frame, x))
    const visible = history.takeOvers.filter(({ at }) => at > frame.from)
    for (const each of visible) parts.push(drawTakeOver(each, middleOf, x))
    y += row * lanes.length + 4
  }
  parts.push(axis(frame, x, y + 12))
  return { body: parts.join(''), height: y + 20 }
}

/** The number of lost writes of one group, in the words of the page's tiles. */
function summary(history: History): string {
  const lost = (mode: Mode) => lostOf(history.tallies.get(mode) ?? noTally)
  return `writes lost: ${lost('none')} without a lock, ${lost('lease')} with a lease, ${lost('fenced')} fenced`
}

const defs =
  '<defs><pattern id="tl-hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">' +
  '<rect class="tl-silent" width="6" height="6"/><rect class="tl-stripe" width="3" height="6"/></pattern></defs>'

function drawLane({ name, spans, marks, gone }: Lane, y: number, frame: Frame, x: (at: number) => number): string {
  const visible = (at: number) => at >= frame.from && at <= frame.to
  return [
    text(0, y + 4, name, gone ? 'tl-name tl-gone' : 'tl-name'),
    `<line class="tl-lane" x1="${left}" x2="${frame.width - right}" y1="${y}" y2="${y}"/>`,
    ...spans.filter(({ from, to = frame.to }) => to > frame.from && from < frame.to).map((span) => drawSpan(span, name, y, frame, x)),
    ...marks.filter(({ at }) => visible(at)).map((mark) => drawMark(mark, y, x(mark.at))),
  ].join('')
}

function drawSpan({ kind, from, to }: Span, name: string, y: number, frame: Frame, x: (at: number) => number): string {
  const [start, end] = [x(from), x(to ?? frame.to)]
  if (kind === 'waits') return `<line class="tl-waits" x1="${fix(start)}" x2="${fix(end)}" y1="${y}" y2="${y}"/>`
  if (kind === 'away') return `<line class="tl-away" x1="${fix(start)}" x2="${fix(end)}" y1="${y}" y2="${y}"/>`
  const fill = kind === 'silent' ? 'url(#tl-hatch)' : colourOf(name)
  const wide = Math.max(1.5, end - start)
  return `<rect class="tl-${kind}" x="${fix(start)}" y="${y - bar / 2}" width="${fix(wide)}" height="${bar}" rx="${fix(Math.min(3, wide / 2))}" fill="${fill}"/>`
}

/** A mark. Marks differ in their form, not only in their colour. */
export function drawMark({ kind }: Pick<Mark, 'kind'>, y: number, x: number): string {
  const at = `transform="translate(${fix(x)} ${y})"`
  switch (kind) {
    case 'death':
      return `<path class="tl-death" ${at} d="M-6-6l12 12m0-12l-12 12"/>`
    case 'late':
      return `<g class="tl-late" ${at}><path d="M-17 7L-8-9L1 7z"/><path class="tl-sign" d="M-8-3.5v5M-8 4v.5"/></g>`
    case 'refused':
      return `<g class="tl-refused" ${at}><circle cx="11" r="8"/><path class="tl-sign" d="M6 0h10"/></g>`
    case 'stolen':
      return `<path class="tl-stolen" ${at} d="M-6 0l6-6l6 6l-6 6z"/>`
    case 'clock':
      return `<g class="tl-clock" ${at}><circle r="7"/><path d="M0-4v4l3 2"/></g>`
  }
}

function drawTakeOver({ from, to, at, since, why }: TakeOver, middles: ReadonlyMap<string, number>, x: (at: number) => number): string {
  const [start, end] = [middles.get(from), middles.get(to)]
  if (start === undefined || end === undefined) return ''
  const here = x(at)
  const down = end > start ? 1 : -1
  const words = why === 'steal' ? 'stolen' : lasting(at - since)
  const line = `<path class="tl-over" d="M${fix(here)} ${start + 8 * down}V${end - 8 * down}m-4 ${-5 * down}l4 ${5 * down}l4 ${-5 * down}"/>`
  // Marks of later events are on the right.
  const before = here > left + 60
  return line + text(here + (before ? -6 : 6), start + 12 * down + (down > 0 ? 4 : 0), words, 'tl-note', before ? 'end' : 'start')
}

function axis({ from, to, live }: Frame, x: (at: number) => number, y: number): string {
  const seconds = Math.floor((to - from) / 1_000)
  const step = seconds > 24 ? 5 : seconds > 8 ? 2 : 1
  const ticks = Array.from({ length: Math.floor(seconds / step) + 1 }, (_, index) => index * step)
  if (!live) return ticks.map((tick) => text(x(from + tick * 1_000), y, `${tick} s`, 'tl-tick', 'middle')).join('')
  return ticks
    .map((ago) => ({ at: x(to - ago * 1_000), words: ago ? `${ago} s ago` : 'now' }))
    .filter(({ at }) => at > left + 40)
    .map(({ at, words }) => text(at, y, words, 'tl-tick', 'end'))
    .join('')
}

const text = (x: number, y: number, words: string, kind: string, anchor = 'start'): string =>
  `<text class="${kind}" x="${fix(x)}" y="${y}" text-anchor="${anchor}">${plain(words)}</text>`

const lasting = (ms: number): string => (ms < 1_000 ? `${Math.max(1, Math.round(ms))} ms` : `${(ms / 1_000).toFixed(1)} s`)

const numberOf = (name: string): number => Number(/\d+/.exec(name)?.[0] ?? 0)

const fix = (value: number): string => value.toFixed(1)

const plain = (words: string): string => words.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`)
