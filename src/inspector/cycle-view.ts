import { visible } from '../server/visible.ts'
import { el, say, svg, type View } from './dom.ts'
import { type Cycle, cycleInWords } from './waits.ts'
import { inWords } from './words.ts'

/** A cycle, the names of its sessions, and when it was first seen, in ms of the monotonic clock. */
export interface Seen {
  readonly cycle: Cycle
  readonly since: number
  nameOf(session: string): string
}

/** The longest cycle that is drawn. */
const longestDrawn = 6
/** Half the size of a node. */
const half = { width: 56, height: 15 }
const width = 340

interface Point {
  readonly x: number
  readonly y: number
}

/** A cycle as a drawing, unless it is too long, and in words below it. */
export function cycleView({ cycle, nameOf }: Seen): View<Seen> {
  const age = el('p', { class: 'dim' })
  const words = cycleInWords(cycle, nameOf)
  const node = el('li', { class: 'cycle' }, ...(cycle.length > longestDrawn ? [] : [drawing(cycle, nameOf, words)]), el('p', {}, `${words}.`), age)
  return {
    node,
    update: ({ since }) => say(age, `Seen for ${inWords(performance.now() - since)}.`),
  }
}

/** Sessions as boxes and locks as pills, in the order of the cycle, clockwise. Dashed: waits for. Solid: is held by. */
function drawing(cycle: Cycle, nameOf: (session: string) => string, words: string): SVGElement {
  const height = cycle.length === 1 ? 100 : 70 + 50 * cycle.length
  const nodes = cycle.flatMap(({ session, name }) => [
    { text: nameOf(session), kind: 'session' },
    { text: name, kind: 'pill' },
  ])
  const place = (index: number): Point => placeOf(index % nodes.length, cycle.length, height)
  const picture = svg('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': words })
  nodes.forEach(({ kind }, index) => {
    picture.append(...arrow(place(index), place(index + 1), kind === 'session' ? 'waits' : 'held'))
  })
  nodes.forEach(({ text, kind }, index) => {
    const { x, y } = place(index)
    const size = { width: `${2 * half.width}`, height: `${2 * half.height}`, rx: kind === 'pill' ? `${half.height}` : '3' }
    const box = svg('rect', { x: `${x - half.width}`, y: `${y - half.height}`, ...size })
    const label = svg('text', { x: `${x}`, y: `${y + 4}` }, shortened(text))
    picture.append(svg('g', { class: kind }, svg('title', {}, text), box, label))
  })
  return picture
}

/** Two nodes are side by side. Of more, the first is at the top, the one halfway round at the bottom, and the rest in a column on each side. */
function placeOf(index: number, rows: number, height: number): Point {
  const [left, right, top] = [half.width + 2, width - half.width - 2, half.height + 2]
  if (rows === 1) return { x: index ? right : left, y: height / 2 }
  const down = rows - Math.abs(rows - index)
  const x = index % rows ? (index < rows ? right : left) : width / 2
  return { x, y: top + (down * (height - 2 * top)) / rows }
}

/** The longest text in a node, in characters. */
const longest = 14

const shortened = (text: string): string => {
  const characters = [...visible(text)]
  return characters.length > longest ? `${characters.slice(0, longest - 1).join('')}…` : characters.join('')
}

/** An arrow from the edge of one node to the edge of the next, bent outwards so that the arrows there and back do not overlap. */
function arrow(from: Point, to: Point, kind: string): SVGElement[] {
  const [dx, dy] = [to.x - from.x, to.y - from.y]
  const bend = { x: (from.x + to.x) / 2 + dy * 0.2, y: (from.y + to.y) / 2 - dx * 0.2 }
  const [start, end] = [edge(from, bend), edge(to, bend)]
  const length = Math.hypot(end.x - bend.x, end.y - bend.y) || 1
  const [ux, uy] = [(end.x - bend.x) / length, (end.y - bend.y) / length]
  const at = (back: number, aside: number): string => `${end.x - back * ux - aside * uy} ${end.y - back * uy + aside * ux}`
  return [
    svg('path', { class: kind, d: `M${start.x} ${start.y} Q${bend.x} ${bend.y} ${at(6, 0)}` }),
    svg('path', { class: `${kind} tip`, d: `M${end.x} ${end.y} L${at(8, 4)} L${at(8, -4)} Z` }),
  ]
}

/** Where the line from a node to a point leaves the node. */
function edge({ x, y }: Point, to: Point): Point {
  const [dx, dy] = [to.x - x, to.y - y]
  const part = Math.min(half.width / Math.abs(dx || 1e-6), half.height / Math.abs(dy || 1e-6), 1)
  return { x: x + dx * part, y: y + dy * part }
}
